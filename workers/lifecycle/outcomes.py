"""Converts a stage's outcome to records, for the queues and for in-process tagging."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import UNSET

from tasks.message_parts import Fault, Media, ObjectRef, Tag, Unknown, UserMetadata
from tasks.messages import Batch, Scored
from workers.lifecycle.record import Error, Evidence, Record, Segmentation, State


class Before(NamedTuple):
    """What there was of an object: what people said of it, and its stored record; empty without."""

    said: bytes = b""
    record: bytes = b""


class Acceptance(NamedTuple):
    """When the ledger has accepted an object (Unix seconds), and by which method it is to be segmented, if any.

    ``before``: what there was of it then, if that was read. ``entered``: when it entered each stage (Unix seconds),
    so far. ``crashed``: a process ended while it worked on the object, so nothing else is to be worked on beside it.
    ``unsegmented``: why its segmentation is given up, so that it is finished without. ``since``: when it
    came to the queue of the stage that begins with it (Unix seconds), in a message that may have been sent again.
    """

    at: float
    method: str = ""
    before: Before | None = None
    entered: Mapping[str, float] = {}
    crashed: bool = False
    unsegmented: Error | None = None
    since: float | None = None


Accepted = Mapping[str, Acceptance]
"""By object id."""


def done(batch: Scored, now: float, accepted: Accepted, segmentation: Segmentation | None = None) -> Iterator[Record]:
    """A ``done`` record for each object of the batch. ``segmentation``: for a batch of one object."""
    media = batch.media or (None,) * len(batch.objects)
    unknown = batch.unknown or (None,) * len(batch.objects)
    for ref, hits, tags, about, why in zip(batch.objects, batch.hits, batch.tags, media, unknown, strict=True):
        evidence = tuple(Evidence(hit.caption, round(hit.similarity, 6)) for hit in hits)
        yield _record(
            "done", ref, batch, now, accepted, tags=tags, evidence=evidence, segmentation=segmentation, media=about,
            why=why,
        )  # fmt: skip


def failed(
    faults: Sequence[Fault], batch: Batch, now: float, accepted: Accepted, state: State = "failed"
) -> Iterator[Record]:
    """A record for each fault; ``batch`` supplies the revision and the timings."""
    for fault in faults:
        yield _record(state, fault.object, batch, now, accepted, error=Error(fault.code, fault.reason))


def _record(
    state: State,
    ref: ObjectRef,
    batch: Batch,
    now: float,
    accepted: Accepted,
    *,
    tags: tuple[Tag, ...] = (),
    evidence: tuple[Evidence, ...] = (),
    error: Error | None = None,
    segmentation: Segmentation | None = None,
    media: Media | None = None,
    why: Unknown | None = None,
) -> Record:
    shares = {stage: round(ms / max(1, len(batch.objects)), 3) for stage, ms in batch.timings_ms.items()}
    entered: dict[str, int] = {}
    if ref.id in accepted:
        acceptance = accepted[ref.id]
        shares["total"] = round((now - acceptance.at) * 1000, 3)
        entered = {stage: max(0, round((at - acceptance.at) * 1000)) for stage, at in acceptance.entered.items()}
    user = ref.user_metadata or UserMetadata()
    return Record(
        bucket=ref.bucket, key=ref.key, etag=ref.etag, version_id=ref.version_id, state=state,
        space_id=batch.revision.space_id, captions_version=batch.revision.captions_version,
        timings_ms=shares, finished_at=now, tags=tags, evidence=evidence, error=error,
        segmentation=segmentation, media=media,
        unknown=state == "done" and not tags, unknown_because=why, file_name=user.file_name or UNSET,
        client_id=user.client_id or UNSET, metadata=dict(user.values) or UNSET,
        entered_ms=entered or UNSET,
    )  # fmt: skip
