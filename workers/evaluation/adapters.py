"""From settings to what an evaluation works with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from tasks.encoders import BUNDLED
from tasks.encoders.requirements import quiet_transformers
from tasks.evaluation.methods import Tools
from tasks.evaluation.results import Judge
from tasks.evaluation.run import Source
from tasks.messages import Floats
from tasks.pipeline import PipelineOptions
from tasks.scoring import PLAIN
from vectordb.index import CaptionSearch
from workers.stores.folder import read_file
from workers.wiring.wiring import Wiring

CLASS_NAME = ("a photo of a {}",)  # CLIP's prompt for a class name, which the paper's upper bound has


def answering(wiring: Wiring) -> PipelineOptions:
    """The choices of the settings, but every picture gets an answer, as in the paper: nothing is unknown."""
    return replace(wiring.pipeline_options, unknown_similarity=-1.0, min_score=0.0)


def source_of(wiring: Wiring) -> Source:
    """How pictures are read and embedded: as ``wildtag tag`` does it."""
    settings = wiring.settings
    return Source(
        read=partial(read_limited, settings.max_object_bytes), encoder=wiring.image_encoder, revision=wiring.revision,
        pipeline_options=answering(wiring), batch=settings.batch_max,
    )  # fmt: skip


def tools_of(
    wiring: Wiring,
    index: CaptionSearch,
    labels: Sequence[str],
    tell: Callable[[str, int, int], None] | None = None,
) -> Tools:
    """What methods are made of. ``labels``: the true ones of the whole set."""
    # the bundled encoder's space is one of sentences: there a prompt draws all names together
    naming = PLAIN if wiring.settings.encoder == BUNDLED else CLASS_NAME
    return Tools(
        index,
        wiring.text_encoder,
        wiring.extractor,
        answering(wiring),
        labels,
        naming,
        tell,
        reference_vectors=wiring.reference_vectors,
    )


def judge() -> Judge:
    """Semantic similarity as the paper has it."""
    return Judge(sentences())


def sentences() -> Callable[[Sequence[str]], Floats]:
    """Texts → the raw sentence vectors of all-MiniLM-L6-v2 in float32, by which the paper compares names."""
    import torch  # noqa: PLC0415 -- keeps the command line quick

    from tasks.encoders.minilm import MiniLM  # noqa: PLC0415 -- as above

    quiet_transformers()
    return MiniLM(dtype=torch.float32).encode


def read_limited(limit: int, path: Path) -> bytes:
    """A file's bytes. Raises an ``ObjectError`` for one that is larger than ``limit``, or cannot be read."""
    return read_file(path, limit)[0]
