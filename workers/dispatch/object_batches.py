"""Batches: objects that a client submits and tracks together.

A batch is a list of objects in Redis. Each object starts as ``open``. Every status request moves finished objects
into the counters, so a request costs only what is still open and counts nothing twice. A batch over a prefix is
listed page by page by ``list_page``, in any process, and resumes after an interruption.

``look`` finds out soon that a batch is finished, without looking at all of its objects again and again: while one of
those that joined it last is open, it is not. The end is reported in the script that takes the batch off the list of
the unfinished ones, so each is reported once, whoever is killed meanwhile.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import structlog

from tasks.message_parts import place_of
from vectordb.errors import Permanent, WildtagError
from workers.dispatch.batch_objects import FAILED, GONE, LIFETIME_S, PAGE, BatchObjects, Page, nothing
from workers.dispatch.batch_reports import IS_GONE, NAMED, BatchReports, BatchStatus, Failure
from workers.dispatch.batch_room import UNFINISHED, BatchRoom
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import EventInbox
from workers.lifecycle.progress import ProgressReader
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys
from workers.stores.store import ObjectError, ObjectStore

log = structlog.get_logger()

AHEAD = 1000  # objects from prefix batches that may wait in the low-priority inbox at once
OPEN_BY_PREFIX = 20_000  # objects of a batch over a prefix that wait, before more are listed
SETTLE_AGAIN_S = 15.0  # between two looks at the objects of such a batch
LOOKS = 20  # batches at once
PROBE = 20  # objects of each that are looked at
REST_SHARE, LONGEST_REST_S = 0.02, 10.0  # between two looks at a batch: of its age, at most
SETTLE_S, SETTLE_SOON_S = 600.0, 20.0  # between two counts of all that has finished; soon: if there are many batches
KEPT_S = 30 * 86_400.0  # age up to which the lifetime of an unfinished batch is renewed
ABANDONED_S = 600.0  # after which a batch of keys that is still being made was left so by a killed process
MOST_LOOKED_AT = 50_000  # objects that are gone, among which a report looks for those that failed
LISTING_S = 30  # seconds after which a process that lists a batch is considered dead


class Batches:
    """Creates batches and reports their status. ``room``: how many there may be. Raises ``StoreUnavailable``."""

    def __init__(
        self,
        client: Client,
        keys: Keys,
        reader: ProgressReader,
        store: ObjectStore,
        low_priority_inbox: EventInbox,
        bucket: str,
        followed: Callable[[str], bool],
        clock: Callable[[], float] = time.time,
        objects: BatchObjects | None = None,
    ) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._reader = reader
        self._store = store
        self._low_priority_inbox = low_priority_inbox
        self._bucket = bucket
        self._followed = followed
        self._clock = clock
        self._settle_again: dict[str, float] = {}
        self._look_again: dict[str, float] = {}
        self._count_again: dict[str, float] = {}
        self._objects = objects or BatchObjects(client, keys)
        self.room = BatchRoom(client, keys, clock, objects)
        self._reports = BatchReports(client, keys, clock)

    def of_keys(self, keys: Sequence[str], *, announce: bool, force: bool = False, owner: str = "") -> str:
        """Create a batch of these keys; returns its id. ``announce``: their events are not in the inbox yet."""
        batch = self._new(owner)

        def complete(pipe: Any) -> None:
            pipe.hset(self._keys.batch(batch), "complete", 1)

        for start in range(0, len(keys), PAGE):
            also = complete if start + PAGE >= len(keys) else nothing  # before, it would seem to be finished
            events = self._events(keys[start : start + PAGE], force=force)
            self._objects.enter(batch, events, announce=announce, also=also)
        return batch

    def of_prefix(self, prefix: str, *, force: bool = False, owner: str = "") -> str:
        """Create a batch of all objects below a prefix, listed by ``list_page``; returns its id.

        Raises ``BatchesFull``.
        """
        self.room.check_prefix(owner)
        batch = self._new(owner, prefix=raw(prefix), after=b"", force=int(force))
        with translated():
            self._redis.sadd(self._keys.batches, batch)
        return batch

    def list_page(self) -> bool:
        """List one page of an incomplete batch if the inbox has capacity. Returns whether there was work to do."""
        with translated():
            open_ = sorted(text(batch) for batch in self._redis.smembers(self._keys.batches))
        for batch in open_:
            token = secrets.token_hex(8)
            lock = self._keys.lock(f"batch:{batch}")
            with translated():
                if not self._redis.set(lock, token, nx=True, ex=LISTING_S):
                    continue
            try:
                if self._list(batch):
                    return True
            except WildtagError as exc:  # continue with the next batch
                log.warning("listing of batch failed", batch=batch, reason=str(exc))
            finally:
                with translated():
                    if self._redis.get(lock) == token.encode():
                        self._redis.delete(lock)
        return False

    def look(self) -> None:
        """Look at the unfinished batches that were looked at longest ago, and report those that are finished."""
        for batch in self.room.due(LOOKS):
            try:
                self._look(batch)
            except Permanent as exc:  # continue with the next batch
                log.warning("batch not looked at", batch=batch, reason=str(exc))

    def _look(self, batch: str) -> None:
        now = self._clock()
        # what is planned for later than it can be was planned before the clock was set back
        if now < self._look_again.get(batch, 0.0) <= now + LONGEST_REST_S:
            return
        about = self._about(batch)
        if not about:
            self._ended(batch)
            return
        age = now - float(about["created_at"])
        self._look_again[batch] = now + min(LONGEST_REST_S, REST_SHARE * age)
        if age > ABANDONED_S and "prefix" not in about and about["complete"] != b"1":
            with translated():
                self._redis.hset(self._keys.batch(batch), "complete", 1)
            about["complete"] = b"1"
        soon = self.room.number() > UNFINISHED / 10
        due = self._count_again.setdefault(batch, now + (SETTLE_SOON_S if soon else SETTLE_S))
        if not now < due <= now + SETTLE_S and age < KEPT_S:
            with translated():
                self._redis.expire(self._keys.batch(batch), LIFETIME_S)
            self._objects.keep(batch)
        if not now < due <= now + SETTLE_S or (about["complete"] == b"1" and not self._last_are_open(batch)):
            self._count_again.pop(batch, None)
            self.status(batch)

    def _last_are_open(self, batch: str) -> bool:
        return any(self._settle_page(batch, *page) for page in self._objects.newest(batch, PROBE))

    def status(self, batch: str, starts: Sequence[int] | None = None, limit: int = 50) -> BatchStatus | None:
        """Status of a batch with its failures from a place on; ``None`` if the batch does not exist.

        ``starts``: the ``further`` of the page before. Failures come in the order in which they ended.
        """
        about = self._about(batch)
        if not about:
            self._ended(batch)
            return None
        open_ = self._settle(batch)
        ended, failed, further = self._objects.ended(batch, starts, limit)
        total = ended.total() + open_.total()
        failures = self._failures(list(map(text, failed)))
        complete = about["complete"] == b"1"
        if complete and not open_ and self.room.has(batch):
            self._report(batch, about, ended)
        return BatchStatus(
            id=batch, created_at=float(about["created_at"]), complete=complete,
            finished=complete and not open_, total=total, counts=dict(ended + open_),
            failures=failures, further=further,
        )  # fmt: skip

    def _report(self, batch: str, about: Mapping[str, bytes], ended: Counter[str]) -> None:
        prefix = text(about["prefix"]) if "prefix" in about else None
        failures = self._named_failures(batch, min(NAMED, sum(ended[state] for state in FAILED if state != GONE)))
        gone = [place_of(text(oid))[1] for oid in self._objects.gone(batch, NAMED)]
        self._reports.finished(batch, float(about["created_at"]), prefix, ended, failures, gone)
        self._ended(batch)

    def _named_failures(self, batch: str, count: int) -> list[Failure]:
        """``count`` objects that failed, as they ended, without those that are gone."""
        found: list[Failure] = []
        starts: Sequence[int] | None = None
        for _ in range(0, NAMED + MOST_LOOKED_AT, PAGE):
            if len(found) >= count:
                break
            _, failed, starts = self._objects.ended(batch, starts, PAGE)
            found += (one for one in self._failures(list(map(text, failed))) if one.state != GONE)
            if starts is None:
                break
        return found[:count]

    def _ended(self, batch: str) -> None:
        self.room.ended(batch)
        for times in (self._settle_again, self._look_again, self._count_again):
            times.pop(batch, None)

    def _about(self, batch: str) -> dict[str, bytes]:
        with translated():
            return {text(k): v for k, v in self._redis.hgetall(self._keys.batch(batch)).items()}

    def _new(self, owner: str, **more: Any) -> str:
        batch, name = secrets.token_hex(12), self._keys.batch
        about = {"created_at": self._clock(), "complete": 0, "owner": owner, **more}
        with translated():
            pipe = self._redis.pipeline()
            pipe.hset(name(batch), mapping=about)
            self.room.begun(pipe, batch)
            pipe.expire(name(batch), LIFETIME_S)
            pipe.execute()
        return batch

    def _events(self, keys: Sequence[str], *, force: bool) -> list[ObjectEvent]:
        # without an ETag, the dispatcher checks whether the object exists and which version it is
        return [ObjectEvent("created", self._bucket, key, force=force) for key in keys]

    def _list(self, batch: str) -> bool:
        name = self._keys.batch(batch)
        if self._low_priority_inbox.length() >= AHEAD:
            return False
        with translated():
            prefix, after, force = self._redis.hmget(name, "prefix", "after", "force")
        if prefix is None:  # the batch has expired
            with translated():
                self._redis.srem(self._keys.batches, batch)
            return True
        if self._objects.number_open([batch])[0] > OPEN_BY_PREFIX:  # most of them are waiting to be tagged
            now = self._clock()
            if not now < self._settle_again.get(batch, 0.0) <= now + SETTLE_AGAIN_S:
                self._settle(batch)
                self._settle_again[batch] = self._clock() + SETTLE_AGAIN_S
            return False
        found = self._store.list(self._bucket, text(prefix), text(after))
        keys = [info.ref.key for info in islice(found, PAGE)]

        def note(pipe: Any) -> None:
            if len(keys) == PAGE:
                pipe.hset(name, "after", raw(keys[-1]))
            else:
                pipe.hset(name, "complete", 1)
                pipe.srem(self._keys.batches, batch)

        events = self._events([key for key in keys if self._followed(key)], force=force == b"1")
        self._objects.enter(batch, events, announce=True, low_priority=True, also=note)
        return True

    def _settle(self, batch: str) -> Counter[str]:
        """Count objects that have finished since the last call; returns the states of the others."""
        left: Counter[str] = Counter()
        for members, told_until in self._objects.open(batch):
            left += self._settle_page(batch, members, told_until)
        return left

    def _settle_page(self, batch: str, members: Page, told_until: float) -> Counter[str]:
        left: Counter[str] = Counter()
        oids = [text(member) for member, _ in members]
        ended: list[tuple[bytes, str]] = []
        for (member, at), progress in zip(members, self._reader.look(oids), strict=True):
            if progress is None or progress.final:
                new = progress is not None and (progress.finished_at or 0.0) * 1000 > at
                if at >= told_until and not new:
                    left["queued"] += 1  # the dispatcher has not processed its event: this record may be outdated
                    continue
                if progress is None and self._there(text(member)):
                    left["queued"] += 1  # its event is still to come
                    continue
                ended.append((member, GONE if progress is None else progress.state))
            else:
                left[progress.state] += 1
        if ended:
            self._objects.move(batch, ended)
        return left

    def _there(self, oid: str) -> bool:
        bucket, key = place_of(oid)
        try:
            return self._followed(key) and self._store.stat(bucket, key) is not None
        except ObjectError:
            return False

    def _failures(self, oids: Sequence[str]) -> list[Failure]:
        found = []
        for oid, progress in zip(oids, self._reader.look(oids), strict=True):
            bucket, key = place_of(oid)
            if progress is None:
                found.append(Failure(bucket, key, GONE, IS_GONE))
            else:
                error = progress.record.error if progress.record else None
                found.append(Failure(bucket, key, progress.state, error))
        return found
