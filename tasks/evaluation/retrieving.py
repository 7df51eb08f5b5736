"""The methods that search captions: CaSED with one prompt or several, and the closest caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files

from tasks.cache import Cache, LRUCache
from tasks.encoders.protocols import TextEncoder
from tasks.evaluation.answers import SHOWN, Answer, Pictures, shown
from tasks.extraction import Extractor
from tasks.hubness import ReferenceVectors
from tasks.message_parts import Floats, Tag
from tasks.pipeline import CACHED, PipelineOptions, extraction, retrieval, scoring
from tasks.retrieval import retrieve
from tasks.scoring import Judge
from vectordb.index import CaptionSearch


@dataclass(frozen=True)
class Cased:
    """CaSED: the stages as the workers call them, with its own cache.

    ``shown_options``: options with the thresholds that choose the tags to show; ``pipeline_options`` have none.
    """

    name: str
    index: CaptionSearch
    encoder: TextEncoder
    extractor: Extractor
    pipeline_options: PipelineOptions
    prompts: tuple[str, ...]
    reference_vectors: ReferenceVectors | None = None
    background_vectors: Floats | None = None
    judge: Judge | None = None
    shown_options: PipelineOptions | None = None
    _cache: Cache = field(default_factory=lambda: LRUCache(CACHED), repr=False)

    def prepare(self) -> None:
        """Load the parser, and run the text encoder once."""
        self.extractor.warm()
        self.encoder.encode(["object"])

    def answer(self, batch: Pictures) -> list[Answer]:
        """See ``Method``."""
        options = replace(self.pipeline_options, prompts=self.prompts)
        retrieved = retrieval(batch.embedded, self.index, options, self.reference_vectors, self.background_vectors)
        extracted = extraction(retrieved, self.extractor, self._cache)
        most = options.max_tags if self.judge is None else None
        scored = scoring(extracted, self.encoder, self._cache, replace(options, max_tags=most), self.judge)
        left: Sequence[tuple[Tag, ...] | None] = [None] * len(scored.tags)
        if self.shown_options is not None:
            choosing = replace(self.shown_options, prompts=self.prompts)
            left = scoring(extracted, self.encoder, self._cache, choosing, self.judge).tags
        return [
            Answer(
                tags[: min(SHOWN, options.max_tags or SHOWN)],
                *shown(hits),
                candidates=len(candidates),
                shown=kept,
                scored=() if self.judge is None else tags,
            )
            for tags, kept, hits, candidates in zip(scored.tags, left, scored.hits, extracted.candidates, strict=True)
        ]


@dataclass(frozen=True)
class ClosestCaption:
    """The whole nearest caption as the label."""

    name: str
    index: CaptionSearch

    def prepare(self) -> None:
        """Does nothing."""

    def answer(self, batch: Pictures) -> list[Answer]:
        """See ``Method``."""
        answers = []
        for hits in retrieve(batch.embedded, self.index, limit=1).hits:
            tags = tuple(Tag(hit.caption, hit.similarity, hit.similarity, 0.0, (0,)) for hit in hits)
            answers.append(Answer(tags, *shown(hits), candidates=len(hits)))
        return answers


def ensemble() -> tuple[str, ...]:
    """The prompts of ``uppercased``; ``{}`` stands for the candidate."""
    text = files("tasks.evaluation").joinpath("prompts.txt").read_text(encoding="utf-8")
    return tuple(line for line in map(str.strip, text.splitlines()) if line)
