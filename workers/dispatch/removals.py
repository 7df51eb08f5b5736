"""Holds removals in bulk: a share that is not mounted, or a server that came back empty, looks like a mass deletion.

A removal is *held* when so many objects are missing that the store is more likely at fault than the user, or when
the folder of the bucket is empty and not the one that held objects (``workers.dispatch.folder_mounts``). The
records stay, and ``wildtag status``, ``/readyz``, the page and a metric report it. A hold ends when the objects are
back, when the user confirms the removals (``wildtag reconcile --confirm-removals``), or when the number of missing
objects is within the limits again. Removals that were requested through wildtag are never held.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import structlog

from vectordb.errors import Permanent
from workers.dispatch.folder_mounts import FolderMounts
from workers.lifecycle.record_reader import PAGE, Records, in_pages
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.stores.lookup import look
from workers.stores.store import BucketMissing, ObjectError, ObjectStore

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


class Missing:
    """The objects that a comparison has found missing, kept in Redis until it knows how many they are.

    ``name``: of the pass; a pass that is resumed finds what it has collected. Raises ``StoreUnavailable``.
    """

    LIFETIME_S = 86_400

    def __init__(self, client: Client, keys: Keys, name: str) -> None:
        self._redis: Any = client  # as above
        self._key = keys.missing(name)

    def add(self, keys: Sequence[str]) -> None:
        """Add keys of the bucket."""
        if keys:
            with translated():
                self._redis.zadd(self._key, dict.fromkeys(keys, 0))
                self._redis.expire(self._key, self.LIFETIME_S)

    def count(self) -> int:
        """Number of missing objects."""
        with translated():
            return int(self._redis.zcard(self._key))

    def pages(self) -> Iterator[list[str]]:
        """All keys in pages. A page may be discarded before the next one is read."""
        start: bytes = b"-"
        while True:
            with translated():
                page = self._redis.zrangebylex(self._key, start, b"+", start=0, num=PAGE)
            if not page:
                return
            yield [text(key) for key in page]
            start = b"(" + page[-1]

    def discard(self, keys: Sequence[str]) -> None:
        """Remove keys that were processed or are back."""
        if keys:
            with translated():
                self._redis.zrem(self._key, *keys)

    def clear(self) -> None:
        """Forget all."""
        with translated():
            self._redis.delete(self._key)


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
    ) -> None:
        self._store = store
        self._mounts = mounts
        self._records = records
        self._holds = holds
        self._redis: Any = client  # as above
        self._keys = keys
        self._limits = limits
        self._clock = clock

    def believed(self, removals: Sequence[str], requested: Collection[str]) -> list[str]:
        """Those of ``removals`` (``bucket/key``) to carry out; the others are held. ``requested``: never held."""
        believed = [oid for oid in removals if oid in requested]
        reported = sorted(oid for oid in removals if oid not in requested)
        for bucket, of_bucket in groupby(reported, key=lambda oid: oid.partition("/")[0]):
            oids = list(of_bucket)
            if not self._held(bucket, oids):
                believed += oids
        return believed

    def _held(self, bucket: str, oids: list[str]) -> bool:
        recorded = [oid for oid, (etag, _) in zip(oids, self._records.known(oids), strict=True) if etag]
        if not recorded:
            return False
        recent = self._recent(bucket, recorded)
        known = self._records.count_in(bucket) + recent - len(recorded)
        reason = self._mounts.replaced(bucket) if self._mounts else None
        limits = self._limits.without_trust() if reason else self._limits
        if (recent < 2 and not reason) or not limits.exceeded(recent, known):  # a single removal is no burst
            return False
        reason = reason or emptied(self._store, bucket)
        if reason is None:
            return False
        self._holds.begin(bucket, recent, known, reason)
        return True

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


def emptied(store: ObjectStore, bucket: str) -> str | None:
    """Why a bucket is not to be trusted; ``None`` if it lists objects. Raises ``Transient``."""
    try:
        if next(store.list(bucket), None) is not None:
            return None
    except (Permanent, BucketMissing) as exc:
        return f"the bucket cannot be listed: {exc}"
    return "the bucket is empty: a share may not be mounted, or the server may have lost it"


def gone_of(store: ObjectStore, bucket: str, keys: Sequence[str]) -> list[str]:
    """Those keys whose object is gone. Access denied or no answer does not mean gone. Raises errors of the bucket."""
    gone = []
    for (_, key), found in look(store, ((bucket, key) for key in keys)).items():
        if found is None:
            gone.append(key)
        elif isinstance(found, Permanent) and not isinstance(found, ObjectError):
            raise found
    return gone


def confirmed_missing(store: ObjectStore, bucket: str, missing: Missing) -> Iterator[int]:
    """Look up what is missing, page by page, discard what is there, and yield the number of those that are gone.

    A store may know objects that it does not list, such as side files that an earlier version has tagged.
    """
    count = 0
    for keys in missing.pages():
        gone = set(gone_of(store, bucket, keys))
        missing.discard([key for key in keys if key not in gone])
        count += len(gone)
        yield count


def moved_objects(store: ObjectStore, bucket: str, records: Records, missing: Missing) -> Iterator[int]:
    """Yield the number of missing objects that were found under another key, after each page of the bucket.

    Such an object has the same ETag, and no record or a newer one. Each accounts for one missing object.
    """
    lost: dict[str, list[float]] = {}  # ETag → when the records of the missing objects were written
    for keys in missing.pages():
        for found in filter(None, records.get([f"{bucket}/{key}" for key in keys])):
            lost.setdefault(found.etag, []).append(found.finished_at)
    moved = 0
    for page in in_pages(store.list(bucket), PAGE):
        same = [info.ref for info in page if lost.get(info.ref.etag)]
        for ref, record in zip(same, records.get([ref.id for ref in same]), strict=True):
            times = lost[ref.etag]
            if times and (record is None or record.finished_at > min(times)):
                times.remove(min(times))
                moved += 1
        yield moved
