"""Holds removals in bulk: a share that is not mounted, or a server that came back empty, looks like a mass deletion.

A removal is *held* when so many objects are missing that the store is more likely at fault than the user, or when
the folder of the bucket is empty and not the one that held objects (``workers.dispatch.folder_mounts``). The
records stay, and ``wildtag status``, ``/readyz``, the page and a metric report it. A hold ends when the objects are
back, when the user confirms the removals (``wildtag reconcile --confirm-removals``), or when the number of missing
objects is within the limits again. Removals that were requested through wildtag are never held.

While a bucket has a hold, no removal is believed that was not requested: a comparison of the whole bucket decides. An
object whose removal is held is no longer in progress (``workers.dispatch.interrupted``). One without a record is
never held: nothing is lost, and a comparison enters it again when it is back. If wildtag itself has looked for an
object, to tag it again, perhaps no source has reported its removal. So a single one is held, too, when the bucket is
empty.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import structlog

from tasks.message_parts import place_of
from workers.dispatch.folder_mounts import FolderMounts
from workers.dispatch.interrupted import Interrupted
from workers.dispatch.missing_objects import emptied
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.record_reader import Records
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.stores.store import ObjectStore

log = structlog.get_logger()

CONFIRM = "wildtag reconcile --confirm-removals"
BURST_S = 600.0  # removals within this time count together


@dataclass(frozen=True)
class Limits:
    """How many objects may be missing at once: ``share`` of those with a record (0 to 1), or fewer than ``least``.

    More are held, and so are all, however few. ``hold``: whether removals are ever held.
    """

    share: float = 0.1
    least: int = 20
    hold: bool = True

    def exceeded(self, missing: int, known: int) -> bool:
        """Whether ``missing`` of ``known`` objects are too many to be believed."""
        return (
            self.hold
            and missing > 0
            and (missing >= known or (missing >= self.least and missing > self.share * known))
        )

    def without_trust(self) -> Limits:
        """The limits where the folder was replaced: none may be missing."""
        return replace(self, share=0.0, least=1)


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Hold:
    """Removals of a bucket that are held. ``missing`` of ``known`` objects; ``since``: Unix seconds."""

    bucket: str
    missing: int
    known: int
    reason: str
    since: float

    @property
    def summary(self) -> str:
        """One line for people: what is held, why, and what ends it."""
        return (
            f"Removals are held: {self.missing:,} of {self.known:,} objects of the bucket {self.bucket} are missing"
            f" ({self.reason}). Their records are kept. If they were really removed, run: {CONFIRM}"
        )


class Holds:
    """The holds of all buckets, in Redis. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._clock = clock

    def active(self) -> list[Hold]:
        """Current holds by bucket."""
        with translated():
            buckets = sorted(text(bucket) for bucket in self._redis.smembers(self._keys.holds))
            rows = [self._redis.hgetall(self._keys.hold(bucket)) for bucket in buckets]
        found = [{text(name): text(value) for name, value in row.items()} for row in rows]
        return [
            Hold(bucket, int(row["missing"]), int(row["known"]), row["reason"], float(row["since"]))
            for bucket, row in zip(buckets, found, strict=True) if row
        ]  # fmt: skip

    def of(self, bucket: str) -> Hold | None:
        """The hold of a bucket, if there is one."""
        return next((hold for hold in self.active() if hold.bucket == bucket), None)

    def begin(self, bucket: str, missing: int, known: int, reason: str) -> None:
        """Hold the removals of a bucket, or update its hold. Logs a warning when it begins."""
        key, now = self._keys.hold(bucket), self._clock()
        with translated():
            pipe = self._redis.pipeline(transaction=True)
            pipe.hsetnx(key, "since", now)
            pipe.hset(key, mapping={"missing": missing, "known": known, "reason": reason})
            pipe.sadd(self._keys.holds, bucket)
            begun = bool(pipe.execute()[0])
        if begun:
            log.warning(
                "removals held", bucket=bucket, missing=missing, known=known, reason=reason,
                then=f"the records are kept; {CONFIRM} removes them",
            )  # fmt: skip

    def end(self, bucket: str) -> None:
        """End the hold of a bucket, if there is one."""
        with translated():
            pipe = self._redis.pipeline(transaction=True)
            pipe.delete(self._keys.hold(bucket))
            pipe.srem(self._keys.holds, bucket)
            ended = bool(pipe.execute()[1])
        if ended:
            log.info("removals no longer held", bucket=bucket)


class RemovalGuard:
    """Decides which removals that events report are believed. Raises ``Transient``."""

    def __init__(
        self,
        store: ObjectStore,
        records: Records,
        holds: Holds,
        client: Client,
        keys: Keys,
        limits: Limits,
        clock: Callable[[], float] = time.time,
        mounts: FolderMounts | None = None,
        interrupted: Interrupted | None = None,
    ) -> None:
        self._store = store
        self._mounts = mounts
        self._records = records
        self._holds = holds
        self._redis: Any = client  # as above
        self._keys = keys
        self._interrupted = interrupted or Interrupted(client, keys)
        self._limits = limits
        self._clock = clock

    def believed(self, removals: Sequence[str], events: Iterable[ObjectEvent]) -> list[str]:
        """Those of ``removals`` (``bucket/key``) to carry out; the others are held, and leave the ledger.

        ``events``: what led to the removals. One that a user has requested is never held.
        """
        events = list(events)
        requested = {event.id for event in events if event.requested}
        again = {event.id for event in events if event.force}
        told = {event.id for event in events if event.kind == "removed"}
        believed = [oid for oid in removals if oid in requested]
        reported = sorted(oid for oid in removals if oid not in requested)
        for bucket, of_bucket in groupby(reported, key=lambda oid: place_of(oid)[0]):
            oids = list(of_bucket)
            held = self._held(bucket, oids, told)
            self._interrupted.put(bucket, held, again)
            believed += sorted({*oids} - {*held})
        return believed

    def _held(self, bucket: str, oids: list[str], told: Collection[str]) -> list[str]:
        stored = dict(zip(oids, self._records.known(oids), strict=True))
        recorded = [oid for oid, (etag, _) in stored.items() if etag]
        if not recorded:
            return []
        looked_for = any(oid not in told or stored[oid][1] for oid in recorded)  # perhaps no source has reported it
        recent = self._recent(bucket, recorded)
        known = self._records.count_in(bucket) + recent - len(recorded)
        if self._limits.hold and (hold := self._holds.of(bucket)):
            self._holds.begin(bucket, max(recent, hold.missing), known, hold.reason)
            return recorded
        reason = self._mounts.replaced(bucket) if self._mounts else None
        limits = self._limits.without_trust() if reason or looked_for else self._limits
        burst = recent > 1 or reason or looked_for  # a single removal that is reported is none
        if not burst or not limits.exceeded(recent, known):
            return []
        reason = reason or emptied(self._store, bucket)
        if reason is None:
            return []
        self._holds.begin(bucket, recent, known, reason)
        return recorded

    def _recent(self, bucket: str, oids: list[str]) -> int:
        """Remember these removals; the number of all within ``BURST_S``."""
        key, now = self._keys.recent_removals(bucket), self._clock()
        with translated():
            pipe = self._redis.pipeline(transaction=True)
            pipe.zadd(key, dict.fromkeys(oids, now))
            pipe.zremrangebyscore(key, "-inf", now - BURST_S)
            pipe.expire(key, int(BURST_S))
            pipe.zcard(key)
            return int(pipe.execute()[-1])
