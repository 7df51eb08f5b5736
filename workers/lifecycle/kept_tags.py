"""Tags that are kept: an image that has some, and cannot be tagged again, keeps them, and says what failed.

A record without tags takes the place of one with tags only if it is of another version of the object, or if the
object is one that is not tagged (``skipped``). The tags are of the revision that they were of.
"""

from __future__ import annotations

import structlog
from msgspec import UNSET
from msgspec.structs import replace

from workers.lifecycle.record import DamagedRecord, Record, Segmentation
from workers.lifecycle.stored_record import head_of, read_record

log = structlog.get_logger()


def kept(record: Record, stored: bytes) -> Record | None:
    """The record to write instead of one that ``failed`` or is ``dead``; ``None`` if there are no tags to be kept.

    ``stored``: the record that there is, as it is stored; empty for none.
    """
    if record.error is None or record.state not in ("failed", "dead") or not stored:
        return None
    try:
        head = head_of(stored)
        if head.state != "done" or head.etag != record.etag:
            return None
        before = read_record(record.id, stored)
    except DamagedRecord:
        return None
    log.warning("tags kept", object=record.id, code=record.error.code, reason=record.error.reason,
                of=before.captions_version)  # fmt: skip
    return replace(
        before, retag_error=record.error, finished_at=record.finished_at, timings_ms=record.timings_ms,
        entered_ms=record.entered_ms,
    )  # fmt: skip


def segmented_as(record: Record, method: str) -> Record:
    """A kept record as the ledger wants it segmented: with the segmentation that it has, or why it has none."""
    if method == record.segmentation_method:
        return record
    error = None if record.retag_error is UNSET else record.retag_error
    return replace(record, segmentation=Segmentation(method=method, error=error) if method else None)
