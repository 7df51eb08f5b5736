"""The progress of objects: queued, in a stage, or finished. The gateway reports it to clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tasks.message_parts import place_of
from workers.lifecycle.damaged_records import DamagedRecords
from workers.lifecycle.record import STATES
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.settings.settings import SEGMENTATION, STAGES

ALL_STAGES = (*STAGES, SEGMENTATION)
TIMES = tuple(f"at:{stage}" for stage in ALL_STAGES)  # the ledger's fields, see workers/redis/scripts/advance.lua
FINAL = frozenset(STATES)


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Progress of one object. ``record``: its JSON, if the object is finished. ``previous``: that of this
    version's last record, while it is tagged again.

    ``position``: number of objects ahead of a queued one. ``stages``: when it reached each (Unix seconds). ``fault``:
    the temporary fault that it waits for.
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
    record: msgspec.Raw | None = None
    finished_at: float | None = None
    previous: msgspec.Raw | None = None

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

    def look(self, oids: Sequence[str], since: float = 0.0) -> list[Progress | None]:
        """The progress of each object; ``None`` if neither ledger nor records know it.

        Records written at or before ``since`` are ignored.
        """
        if not oids:
            return []
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for oid in oids:
                pipe.hmget(self._keys.entry(oid), "etag", "stage", "attempts", "accepted_at", "fault", *TIMES)
                pipe.zrank(self._keys.ledger, oid)
                pipe.hmget(self._keys.record(oid), "etag", "state", "body")
                pipe.zscore(self._keys.records, oid)
                pipe.zrank(self._keys.segmentation_queue, oid)
            answers = pipe.execute()
        rows = [answers[i : i + 5] for i in range(0, len(answers), 5)]
        return [_progress(oid, since, self._damaged, *row) for oid, row in zip(oids, rows, strict=True)]

    def tokens(self, oids: Sequence[str]) -> list[str]:
        """A token per object that changes whenever its progress does; cheaper than ``look``."""
        if not oids:
            return []
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for oid in oids:
                pipe.hmget(self._keys.entry(oid), "etag", "stage", "attempts", "fault")
                pipe.zscore(self._keys.records, oid)
                pipe.zscore(self._keys.segmentation_queue, oid)
            answers = pipe.execute()
        return [f"{answers[i]}{answers[i + 1]}{answers[i + 2]}" for i in range(0, len(answers), 3)]

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
    record: list[bytes | None],
    at: float | None,
    segmented: int | None,
) -> Progress | None:
    bucket, key = place_of(oid)
    etag, stage, attempts, accepted, fault, *times = entry
    stored = None if record[2] is None or at is None else damaged.current(oid, record[2])
    previous = None if stored is None else msgspec.Raw(stored)
    if stage is not None:
        state = text(stage)
        return Progress(
            bucket=bucket, key=key, etag=text(etag or b""), state="queued" if state == "waiting" else state,
            position=rank if state in ("queued", "waiting") else None,
            accepted_at=float(accepted or 0), attempts=int(attempts or 0), fault=text(fault) if fault else None,
            stages={name: float(t) for name, t in zip(ALL_STAGES, times, strict=True) if t is not None},
            previous=previous if etag == record[0] else None,
        )  # fmt: skip
    if segmented is not None:  # it waits in the segmentation queue
        return Progress(bucket=bucket, key=key, etag=text(record[0] or b""), state="queued", position=segmented,
                        previous=previous)  # fmt: skip
    if record[2] is None or at is None:
        return None
    if at <= since or previous is None:  # of an earlier tagging, or damaged: it is tagged again
        return Progress(bucket=bucket, key=key, etag=text(record[0] or b""), state="queued", previous=previous)
    return Progress(
        bucket=bucket, key=key, etag=text(record[0] or b""), state=text(record[1] or b""),
        record=previous, finished_at=at,
    )  # fmt: skip
