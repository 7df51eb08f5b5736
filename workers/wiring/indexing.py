"""Creates what adds images that have records to the index of images, in a worker."""

from __future__ import annotations

from tasks import pipeline
from tasks.messages import Embedded, Retrieved
from vectordb.index import IndexMissing
from workers.images.examples import ExampleBook
from workers.stages.fetching import fetch
from workers.stages.indexing import Indexing
from workers.wiring.images import record_versions
from workers.wiring.wiring import Wiring


def indexing(wiring: Wiring, book: ExampleBook) -> Indexing:
    """Adds images that have records to the index, in the embedding worker and in the owner of the index."""
    w = wiring

    def retrieved(batch: Embedded) -> Retrieved | None:
        version = batch.revision.captions_version
        try:
            index = w.indexes.open(version)
            return pipeline.retrieval(batch, index, w.pipeline_options, w.reference_vectors)
        except IndexMissing:  # dropped since: every caption may concern these images
            w.indexes.release(version)
            return None

    return Indexing(
        w.redis, w.keys, w.publisher, w.health, lambda: w.images,
        fetch=lambda refs: fetch(
            w.store, refs, w.settings.max_object_bytes, w.object_filter.content,
            found_type=w.object_filter.found_content,
        ),
        embed=lambda batch, images: pipeline.embedding(
            batch, images, w.image_encoder, w.pipeline_options, w.decoders
        ),
        retrieved=retrieved, judge=book.judge, stored=w.statements.stored, tag_again=w.backlog.add,
        records=w.records.get, in_progress=record_versions(w).in_progress,
    )  # fmt: skip
