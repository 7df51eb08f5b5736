"""Creates the parts of an evaluation from settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from tasks.encoders import BUNDLED
from tasks.encoders.devices import choose
from tasks.evaluation.captioner import HFCaptioner
from tasks.evaluation.methods import Tools
from tasks.evaluation.results import Judge
from tasks.evaluation.run import Source
from tasks.message_parts import Floats
from tasks.pipeline import PipelineOptions
from tasks.scoring import PLAIN
from vectordb.index import CaptionIndex, sample
from workers.stores.folder_files import read_file
from workers.wiring.wiring import Wiring

CLASS_NAME = ("a photo of a {}",)  # CLIP's prompt for a class name, used by the paper's upper bound


def options_in_use(wiring: Wiring) -> PipelineOptions:
    """The pipeline options with which these captions tag."""
    return wiring.options_for(wiring.revision.captions_version)


def answering(wiring: Wiring) -> PipelineOptions:
    """The pipeline options of the settings without thresholds: as in the paper, every image gets tags.

    Tags are not reduced to distinct ones. Videos are skipped.
    """
    return replace(
        options_in_use(wiring), unknown_similarity=-1.0, evidence_similarity=-1.0, min_score=0.0, min_confidence=0.0,
        detect_featureless=False, distinct_tags=False, video=False,
    )  # fmt: skip


def source_of(wiring: Wiring) -> Source:
    """Reads and embeds images as ``wildtag tag`` does."""
    settings = wiring.settings
    return Source(
        read=partial(read_limited, settings.max_object_bytes), encoder=wiring.image_encoder, revision=wiring.revision,
        pipeline_options=options_in_use(wiring), batch=settings.batch_max,
        decode=wiring.decoders,
    )  # fmt: skip


def tools_of(
    wiring: Wiring,
    index: CaptionIndex,
    labels: Sequence[str],
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Tools:
    """The tools of evaluation methods. ``labels``: the true labels of the whole set."""
    # the bundled encoder's space is one of sentences: a prompt would make all names more similar
    naming = PLAIN if wiring.settings.encoder == BUNDLED else CLASS_NAME
    return Tools(
        index,
        wiring.text_encoder,
        wiring.extractor,
        answering(wiring),
        labels,
        naming,
        on_progress,
        captioner=lambda name: HFCaptioner(name, device=choose(wiring.settings.device)),
        reference_vectors=wiring.reference_vectors,
        background_vectors=sample(index) if wiring.confidence_model else None,
        judge=wiring.confidence_model,
        shown_options=options_in_use(wiring),
    )


def judge(cache_dir: Path) -> Judge:
    """Semantic similarity as defined in the paper."""
    return Judge(sentences(cache_dir))


def sentences(cache_dir: Path) -> Callable[[Sequence[str]], Floats]:
    """Texts → the raw sentence vectors of all-MiniLM-L6-v2 in float32, which the paper uses to compare names."""
    from tasks.encoders.minilm import MiniLM  # noqa: PLC0415 -- keeps the command line quick

    return MiniLM(cache_dir).encode


def read_limited(limit: int, path: Path) -> bytes:
    """Read a file. Raises an ``ObjectError`` if it is larger than ``limit`` or cannot be read."""
    return read_file(path, limit)[0]
