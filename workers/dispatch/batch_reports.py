"""Reports finished batches: one entry each in a stream, which the notifier reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from workers.lifecycle.record import Error
from workers.lifecycle.times import rfc3339
from workers.redis import scripts
from workers.redis.connection import Client, translated
from workers.redis.keys import Keys

KEPT = 10_000  # finished batches in the stream
NAMED = 100  # objects that failed, and objects that are gone, in one report
IS_GONE = Error("gone", "the object is not in the bucket, or the settings exclude it")


class Failure(msgspec.Struct, frozen=True):
    """An object without tags, and the reason."""

    bucket: str
    key: str
    state: str
    error: Error | None


class BatchStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Status of a batch. ``complete``: all its objects are known; ``counts``: objects by state.

    ``gone`` counts objects that are not in the bucket, or are excluded by the object filter. ``further``: where the
    next page of failures begins, ``None`` on the last one.
    """

    id: str
    created_at: float
    complete: bool
    finished: bool
    total: int
    counts: dict[str, int]
    failures: list[Failure]
    further: list[int] | None


class FinishedBatch(msgspec.Struct, frozen=True):
    """The report. ``counts``: objects by state; ``gone`` are not in the bucket, or excluded by the object filter.

    ``failures``, ``gone``: at most ``NAMED`` of the objects without tags, and of the keys of those that are gone.
    ``prefix``: of the batch, if it was made of one. Times are RFC 3339.
    """

    id: str
    created_at: str
    finished_at: str
    prefix: str | None
    total: int
    counts: Mapping[str, int]
    failures: Sequence[Failure]
    gone: Sequence[str]


class BatchReports:
    """Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._clock = clock
        self._finish = self._redis.register_script(scripts.source("finish_batch"))

    def finished(
        self,
        batch: str,
        created_at: float,
        prefix: str | None,
        counts: Mapping[str, int],
        failures: Sequence[Failure],
        gone: Sequence[str],
    ) -> bool:
        """Report a batch and take it off the list of unfinished ones. ``False`` if it was reported before."""
        report = FinishedBatch(
            batch, rfc3339(created_at), rfc3339(self._clock()), prefix, sum(counts.values()), counts, failures, gone,
        )  # fmt: skip
        keys = [self._keys.batches_unfinished, self._keys.batches_finished]
        with translated():
            return bool(self._finish(keys=keys, args=[batch, msgspec.json.encode(report), KEPT]))
