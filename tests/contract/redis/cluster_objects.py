"""Objects and their records, for tests of Redis Clusters."""

from __future__ import annotations

from tasks.message_parts import ObjectRef, Revision, Tag
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Record

REVISION = Revision("space", "captions@1")


def ref(number: int) -> ObjectRef:
    return ObjectRef("inbox", f"{number}.jpg", f"etag-{number}")


def record(of: ObjectRef, label: str) -> Record:
    return Record(
        bucket=of.bucket, key=of.key, etag=of.etag, state="done", space_id=REVISION.space_id,
        captions_version=REVISION.captions_version, tags=(Tag(label, 0.5, 0.5, 0.5),),
    )  # fmt: skip


def tagged(ledger: Ledger, number: int, label: str = "cat") -> bool:
    """Enter an object and finish it."""
    ledger.enter([Arrival(ref(number))], REVISION, 1.0, 60.0)
    return ledger.finish([record(ref(number), label)], 2.0) == [True]
