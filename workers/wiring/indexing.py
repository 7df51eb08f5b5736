"""Creates what adds images that have records to the index of images, in a worker."""

from __future__ import annotations

from collections.abc import Sequence

from tasks import pipeline
from tasks.message_parts import Floor
from tasks.messages import Embedded
from vectordb.index import IndexMissing
from workers.stages.fetching import fetch
from workers.stages.indexing import Indexing
from workers.wiring.images import record_versions
from workers.wiring.wiring import Wiring


def indexing(wiring: Wiring) -> Indexing:
    """Adds images that have records to the index, in the embedding worker and in the owner of the index."""
    w = wiring

    def floors(batch: Embedded) -> Sequence[Floor]:
        version = batch.revision.captions_version
        try:
            index = w.indexes.open(version)
            return pipeline.retrieval(batch, index, w.pipeline_options, w.reference_vectors).floors
        except IndexMissing:  # dropped since: every caption may concern these images
            w.indexes.release(version)
            return ()

    return Indexing(
        w.redis, w.keys, w.publisher, w.health, lambda: w.images,
        fetch=lambda refs: fetch(
            w.store, refs, w.settings.max_object_bytes, w.object_filter.content,
            found_type=w.object_filter.found_content,
        ),
        embed=lambda batch, images: pipeline.embedding(
            batch, images, w.image_encoder, w.pipeline_options, w.decoders
        ),
        records=w.records.get, floors=floors, in_progress=record_versions(w).in_progress,
    )  # fmt: skip
