"""Creates what verifies and repairs the index of images."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tasks import pipeline
from tasks.message_parts import Floor
from tasks.messages import Embedded
from vectordb.index import IndexMissing
from workers.images.comparison import Comparison
from workers.images.findings import Findings, StoredStanding
from workers.images.passes import Pass
from workers.images.periodic_verification import PeriodicVerification
from workers.images.verifier import Aside, Verifier
from workers.lifecycle.record_versions import RecordVersions
from workers.stages.fetching import fetch
from workers.stages.indexing import Indexing
from workers.wiring.wiring import Wiring


def record_versions(wiring: Wiring) -> RecordVersions:
    """The versions that are tagged in the space of the current encoder."""
    return RecordVersions(wiring.redis, wiring.keys, wiring.space.id)


def verifier(wiring: Wiring) -> Verifier:
    """A verifier of the index of the current space."""
    w, versions = wiring, record_versions(wiring)
    comparison = Comparison(versions.of, versions.in_progress, w.records.get, w.clock)
    return Verifier(comparison, versions.pages, w.space.id, w.settings.batch_max, Aside(time.monotonic))


def verification(wiring: Wiring, by: Verifier, findings: Findings, *, repair: bool) -> Pass:
    """One verification of the index, through the workers of the stack."""
    w, versions = wiring, record_versions(wiring)
    return Pass(by.run(findings, repair=repair), w.rpc, w.health.beats, lambda: not versions.busy())


def standing(wiring: Wiring) -> StoredStanding:
    """The last comparison."""
    return StoredStanding(wiring.redis, wiring.keys)


def periodic_verification(wiring: Wiring) -> PeriodicVerification:
    """Verifies and repairs the index again and again."""
    w = wiring
    return PeriodicVerification(
        verifier(w), lambda by, findings: verification(w, by, findings, repair=True), record_versions(w).busy,
        standing(w), w.settings.images_verify_s, w.clock,
    )  # fmt: skip


def indexing(wiring: Wiring) -> Indexing:
    """Adds images that have records to the index, in a worker."""
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
        fetch=lambda refs: fetch(w.store, refs, w.settings.max_object_bytes, w.object_filter.content),
        embed=lambda batch, images: pipeline.embedding(batch, images, w.image_encoder, w.pipeline_options),
        records=w.records.get, floors=floors, in_progress=record_versions(w).in_progress,
    )  # fmt: skip
