"""Creates the pipeline: all stages in one process."""

from __future__ import annotations

from collections.abc import Callable

from tasks.cache import LayeredCache, LRUCache
from tasks.pipeline import CACHED, Pipeline
from vectordb.index import CaptionIndex, sample
from workers.captions.word_store import WordsFirst
from workers.wiring.wiring import Wiring


def pipeline(
    wiring: Wiring, index: CaptionIndex, captions_version: str, clock: Callable[[], float] | None = None
) -> Pipeline:
    """All stages, with these captions. Loads both encoders."""
    w = wiring
    return Pipeline(
        w.image_encoder, w.text_encoder, index, captions_version, extractor=w.extractor, clock=clock,
        pipeline_options=w.options_for(captions_version), reference_vectors=w.reference_vectors,
        judge=w.confidence_model, background_vectors=sample(index) if w.confidence_model else None,
        decode=w.decoders, cache=LayeredCache(LRUCache(CACHED), WordsFirst(w.word_store)),
    )  # fmt: skip
