"""Creates what verifies and repairs the index of images."""

from __future__ import annotations

import time

from vectordb.disk_space import size_of
from vectordb.library import safe
from workers.images.comparison import Comparison
from workers.images.findings import Findings
from workers.images.passes import Pass
from workers.images.periodic_verification import PeriodicVerification
from workers.images.verifier import Aside, Verifier
from workers.lifecycle.record_versions import RecordVersions
from workers.wiring.operations import images_standing
from workers.wiring.wiring import Wiring


def record_versions(wiring: Wiring) -> RecordVersions:
    """The versions that are tagged in the space of the current encoder."""
    return wiring.record_versions(wiring.space.id)


def verifier(wiring: Wiring) -> Verifier:
    """A verifier of the index of the current space."""
    w, versions = wiring, record_versions(wiring)
    comparison = Comparison(versions.of, versions.moving, w.records.get, w.clock)
    return Verifier(
        comparison, versions.pages, w.space.id, w.settings.batch_max, Aside(time.monotonic),
        lambda: w.refill.since() is not None,
    )  # fmt: skip


def verification(wiring: Wiring, by: Verifier, findings: Findings, *, repair: bool) -> Pass:
    """One verification of the index, through the workers of the stack."""
    w, versions = wiring, record_versions(wiring)
    return Pass(by.run(findings, repair=repair), w.rpc, w.health.beats, lambda: not versions.busy())


def tagged(wiring: Wiring) -> int:
    """The number of tagged images, of all spaces."""
    return record_versions(wiring).count()


def size_on_disk(wiring: Wiring) -> int | None:
    """The bytes of an embedded index; ``None`` for one on a Qdrant server."""
    s = wiring.settings
    return size_of(s.images_folder / safe(wiring.space.id)) if wiring.owned else None


def periodic_verification(wiring: Wiring) -> PeriodicVerification:
    """Verifies and repairs the index again and again."""
    w = wiring
    return PeriodicVerification(
        verifier(w), lambda by, findings: verification(w, by, findings, repair=True), record_versions(w).busy,
        images_standing(w), w.settings.images_verify_s, w.clock,
    )  # fmt: skip
