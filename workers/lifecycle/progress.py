"""Where objects are: on their way, and in which stage, or at their end. What the gateway tells of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from workers.lifecycle.record import STATES, current
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.settings.settings import SEGMENTATION, STAGES

ALL_STAGES = (*STAGES, SEGMENTATION)
TIMES = tuple(f"at:{stage}" for stage in ALL_STAGES)  # the ledger's fields, see workers/scripts/advance.lua
FINAL = frozenset(STATES)


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Where one object is. ``record``: its JSON, when that is the final word.

    ``position``: how many objects are ahead of one that is queued. ``stages``: when it came to each (Unix seconds).
    ``fault``: what it waits for to pass.
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

    @property
    def final(self) -> bool:
        """Whether nothing more is to come of this version."""
        return self.state in FINAL


class ProgressReader:
    """Reads progress. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys

    def look(self, oids: Sequence[str], since: float = 0.0) -> list[Progress | None]:
        """Where each object is; ``None`` where neither ledger nor record knows it.

        A record that was written at or before ``since`` is not the word that is waited for.
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
        return [_progress(oid, since, *row) for oid, row in zip(oids, rows, strict=True)]

    def tokens(self, oids: Sequence[str]) -> list[str]:
        """Of each object something that changes whenever its progress does; cheaper than to ``look``."""
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
        """How many objects nobody has begun or finished: in the inbox and in the ledger.

        ``segmented``: those that wait to be segmented.
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
    entry: list[bytes | None],
    rank: int | None,
    record: list[bytes | None],
    at: float | None,
    segmented: int | None,
) -> Progress | None:
    bucket, _, key = oid.partition("/")
    etag, stage, attempts, accepted, fault, *times = entry
    if stage is not None:
        state = text(stage)
        return Progress(
            bucket=bucket, key=key, etag=text(etag or b""), state="queued" if state == "waiting" else state,
            position=rank if state in ("queued", "waiting") else None,
            accepted_at=float(accepted or 0), attempts=int(attempts or 0), fault=text(fault) if fault else None,
            stages={name: float(t) for name, t in zip(ALL_STAGES, times, strict=True) if t is not None},
        )  # fmt: skip
    if segmented is not None:  # it waits for its turn to be segmented
        return Progress(bucket=bucket, key=key, etag=text(record[0] or b""), state="queued", position=segmented)
    if record[2] is None or at is None:
        return None
    if at <= since:
        return Progress(bucket=bucket, key=key, etag=text(record[0] or b""), state="queued")
    return Progress(
        bucket=bucket, key=key, etag=text(record[0] or b""), state=text(record[1] or b""),
        record=msgspec.Raw(current(record[2])), finished_at=at,
    )  # fmt: skip
