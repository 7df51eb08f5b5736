"""The progress of objects: queued, in a stage, or finished. The gateway reports it to clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tasks.message_parts import UserMetadata, place_of
from workers.lifecycle.damaged_records import DamagedRecords
from workers.lifecycle.ledger import ALL_STAGES
from workers.lifecycle.record import STATES, Record
from workers.lifecycle.retag_marks import RetagMarks
from workers.lifecycle.stored_record import HEAD_BYTES, head_bytes, readable
from workers.lifecycle.times import milliseconds
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys

TIMES = tuple(f"at:{stage}" for stage in ALL_STAGES)  # the ledger's fields, see workers/redis/scripts/advance.lua
FINAL = frozenset(STATES)
FORGOTTEN_S = 3600
"""How long a deleted object is looked for in the bucket, if it seems to be there: longer than an event waits."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Progress of one object. ``record``: if the object is finished. ``previous``: this version's last record, while
    it is tagged again.

    ``position``: number of objects ahead of a queued one. ``stages``: when it reached each (Unix seconds). ``fault``:
    the temporary fault that it waits for. ``forgotten``: the object was deleted a short time ago; it is one that was
    stored again, or has just not been noticed. ``user``: what its owner wrote beside it, if that was looked up.
    """

    bucket: str
    key: str
    etag: str
    state: str
    position: int | None = None
    accepted_at: float | None = None
    stages: Mapping[str, float] = {}
    attempts: int = 0
    fault: str | None = None
    record: Record | None = None
    finished_at: float | None = None
    previous: Record | None = None
    forgotten: bool = False
    user: UserMetadata | None = None

    @property
    def final(self) -> bool:
        """Whether this version is finished."""
        return self.state in FINAL


class ProgressReader:
    """Reads progress. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._damaged = DamagedRecords(client, keys)
        self._marks = RetagMarks(client, keys)

    def look(self, oids: Sequence[str], since: float = 0.0) -> list[Progress | None]:
        """The progress of each object; ``None`` if neither ledger nor records know it.

        Records written at or before ``since`` are ignored. Times are compared in milliseconds.
        """
        if not oids:
            return []
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for oid in oids:
                pipe.hmget(self._keys.entry(oid), "etag", "stage", "attempts", "accepted_at", "fault", *TIMES)
                pipe.zrank(self._keys.ledger, oid)
                pipe.get(self._keys.record(oid))
                pipe.zrank(self._keys.segmentation_queue, oid)
                pipe.exists(self._keys.forgotten(oid))
                self._marks.ask(pipe, oid)
            answers = pipe.execute()
        rows = [answers[i : i + 6] for i in range(0, len(answers), 6)]
        waiting = self._marks.waiting({oid: row[-1] for oid, row in zip(oids, rows, strict=True)})
        return [
            _progress(oid, since, self._damaged, *row[:-2], forgotten=bool(row[-2]), again=oid in waiting)
            for oid, row in zip(oids, rows, strict=True)
        ]

    def turns(self, oids: Sequence[str]) -> list[tuple[float | None, float | None]]:
        """The scores of each object in the ledger and on the segmentation queue."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for oid in oids:
                pipe.zscore(self._keys.ledger, oid)
                pipe.zscore(self._keys.segmentation_queue, oid)
            answers = pipe.execute()
        return list(zip(answers[::2], answers[1::2], strict=True))

    def ahead(self, turns: Sequence[tuple[float | None, float | None]], equal: Sequence[bool]) -> list[int]:
        """The number of objects with a lower score, or ``equal``, in the ledger or, if it has none, on that queue."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for (accepted, segmented), too in zip(turns, equal, strict=True):
                key = self._keys.segmentation_queue if accepted is None else self._keys.ledger
                turn = segmented if accepted is None else accepted
                bound = float("-inf") if turn is None else turn  # it has left both meanwhile
                pipe.zcount(key, "-inf", f"{'' if too else '('}{bound:.17g}")
            return list(map(int, pipe.execute()))

    def tokens(self, oids: Sequence[str]) -> list[str]:
        """A token per object that changes whenever its progress does; cheaper than ``look``."""
        if not oids:
            return []
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for oid in oids:
                pipe.hmget(self._keys.entry(oid), "etag", "stage", "attempts", "fault")
                pipe.getrange(self._keys.record(oid), 0, HEAD_BYTES)
                pipe.zscore(self._keys.segmentation_queue, oid)
                self._marks.ask(pipe, oid)
            answers = pipe.execute()
        rows = [answers[i : i + 4] for i in range(0, len(answers), 4)]
        waiting = self._marks.waiting({oid: row[-1] for oid, row in zip(oids, rows, strict=True)})
        return [
            f"{entry}{head_bytes(stored)!r}{segmented}{oid in waiting}"
            for oid, (entry, stored, segmented, _) in zip(oids, rows, strict=True)
        ]

    def forget(self, oid: str) -> None:
        """Remember for a while that an object was deleted on request."""
        with translated():
            self._redis.set(self._keys.forgotten(oid), b"1", ex=FORGOTTEN_S)

    def waiting(self, *, segmented: bool = False) -> int:
        """Number of objects in the inbox and the ledger that no worker has started.

        ``segmented``: count objects that wait to be segmented.
        """
        with translated():
            if segmented:
                return int(self._redis.zcard(self._keys.segmentation_queue))
            pipe = self._redis.pipeline(transaction=False)
            pipe.xlen(self._keys.inbox)
            pipe.zcard(self._keys.ledger)
            return sum(pipe.execute())


def _progress(
    oid: str,
    since: float,
    damaged: DamagedRecords,
    entry: list[bytes | None],
    rank: int | None,
    stored: bytes | None,
    segmented: int | None,
    *,
    forgotten: bool,
    again: bool,
) -> Progress | None:
    bucket, key = place_of(oid)
    etag, stage, attempts, accepted, fault, *times = entry
    head = None if stored is None else readable(stored)[0]
    previous = None if stored is None else damaged.read(oid, stored)
    finished = "" if head is None else head.etag
    if stage is not None:
        state = text(stage)
        return Progress(
            bucket=bucket, key=key, etag=text(etag or b""), state="queued" if state == "waiting" else state,
            position=rank if state in ("queued", "waiting") else None,
            accepted_at=float(accepted or 0), attempts=int(attempts or 0), fault=text(fault) if fault else None,
            stages={name: float(t) for name, t in zip(ALL_STAGES, times, strict=True) if t is not None},
            previous=previous if text(etag or b"") == finished else None, forgotten=forgotten,
        )  # fmt: skip
    if segmented is not None:  # it waits in the segmentation queue
        return Progress(
            bucket=bucket, key=key, etag=finished, state="queued", position=segmented, previous=previous,
            forgotten=forgotten,
        )  # fmt: skip
    if stored is None:
        return None
    old = head is None or milliseconds(head.at) <= milliseconds(since)  # of an earlier tagging
    if head is None or old or previous is None or again:  # or damaged: it is tagged again
        return Progress(
            bucket=bucket, key=key, etag=finished, state="queued", previous=previous, forgotten=forgotten
        )  # fmt: skip
    return Progress(
        bucket=bucket, key=key, etag=finished, state=head.state, record=previous, finished_at=head.at,
        accepted_at=previous.accepted_at, stages=previous.stages, forgotten=forgotten,
    )  # fmt: skip
