"""Creates a method from its name: ``cased``, ``vocabulary:FILE``, ``captioner:MODEL`` and so on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tasks.cache import LRUCache
from tasks.encoders.protocols import TextEncoder
from tasks.evaluation.answers import Method
from tasks.evaluation.captioner import Captioned, Captioner, HFCaptioner
from tasks.evaluation.retrieving import Cased, ClosestCaption, ensemble
from tasks.evaluation.vocabulary import Vocabulary, read_labels
from tasks.extraction import Extractor
from tasks.hubness import ReferenceVectors
from tasks.message_parts import Floats
from tasks.pipeline import CACHED, PipelineOptions
from tasks.scoring import PLAIN, Judge
from vectordb.errors import Permanent
from vectordb.index import CaptionSearch

DEFAULT = "cased"
NAMES = {
    DEFAULT: "the method that wildtag uses for tagging",
    "uppercased": "cased with prompt ensembling of the candidates",
    "closest-caption": "the nearest caption as the label",
    "vocabulary:FILE": "the nearest label of a fixed list; vocabulary:imagenet for ImageNet's names",
    "captioner:MODEL": "a captioning model's answer, split into candidates",
    "clip-upper-bound": "the nearest of the set's true labels",
}


class UnknownMethod(Permanent):
    """There is no method with this name."""


@dataclass(frozen=True)
class Tools:
    """The parts of methods. ``labels``: the true ones of the whole set, for the upper bound.

    ``naming``: the prompt of the upper bound, the only one in the paper. ``on_progress``: receives a method's
    name, and the numbers of encoded and of all labels. ``reference_vectors``: see ``tasks.retrieval.retrieve``.
    ``background_vectors``, ``judge`` and ``shown_options``: see ``Cased``.
    """

    index: CaptionSearch
    encoder: TextEncoder
    extractor: Extractor
    pipeline_options: PipelineOptions
    labels: Sequence[str]
    naming: tuple[str, ...] = PLAIN
    on_progress: Callable[[str, int, int], None] | None = None
    captioner: Callable[[str], Captioner] = HFCaptioner
    reference_vectors: ReferenceVectors | None = None
    background_vectors: Floats | None = None
    judge: Judge | None = None
    shown_options: PipelineOptions | None = None


def check(name: str) -> None:
    """Raise ``UnknownMethod`` for an unknown name, ``BadVocabulary`` if its list is not usable.

    Loads no model, so errors are reported at once.
    """
    kind, colon, argument = name.partition(":")
    known = {one.partition(":")[0]: one for one in NAMES}
    if kind not in known or bool(argument) != (":" in known[kind]) or (colon and not argument):
        raise UnknownMethod(f"there is no method {name!r}; there are {', '.join(NAMES)}")
    if kind == "vocabulary":
        read_labels(argument)


def make(name: str, tools: Tools) -> Method:
    """The method of this name. Raises the errors of its files and models."""
    check(name)
    kind, _, argument = name.partition(":")
    if kind == "closest-caption":
        return ClosestCaption(name, tools.index)
    if kind == "captioner":
        return Captioned(name, tools.captioner(argument), tools.encoder, LRUCache(CACHED))
    if kind == "vocabulary":
        return _vocabulary(name, read_labels(argument), PLAIN, tools)
    if kind == "clip-upper-bound":
        return _vocabulary(name, tools.labels, tools.naming, tools)
    prompts = ensemble() if kind == "uppercased" else tools.pipeline_options.prompts
    return Cased(
        name, tools.index, tools.encoder, tools.extractor, tools.pipeline_options, prompts, tools.reference_vectors,
        tools.background_vectors, tools.judge, tools.shown_options,
    )  # fmt: skip


def _vocabulary(name: str, labels: Sequence[str], prompts: tuple[str, ...], tools: Tools) -> Vocabulary:
    on_progress = tools.on_progress
    progress = None if on_progress is None else lambda done, total: on_progress(name, done, total)
    return Vocabulary(name, labels, tools.encoder, prompts, progress)
