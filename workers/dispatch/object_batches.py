"""Batches: objects that a client submits and tracks together.

A batch is a list of objects in Redis. Each object starts as ``open``. Every status request moves finished objects
into the counters, so a request costs only what is still open and counts nothing twice. A batch over a prefix is
listed page by page by ``list_page``, in any process, and resumes after an interruption.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import msgspec
import structlog

from tasks.message_parts import place_of
from vectordb.errors import WildtagError
from workers.dispatch.batch_objects import LIFETIME_S, PAGE, BatchObjects
from workers.dispatch.batch_room import BatchRoom
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.progress import ProgressReader
from workers.lifecycle.record import Error
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys
from workers.stores.store import ObjectError, ObjectStore

log = structlog.get_logger()

AHEAD = 1000  # objects from prefix batches that may wait in the low-priority inbox at once
OPEN_BY_PREFIX = 20_000  # objects of a batch over a prefix that wait, before more are listed
SETTLE_AGAIN_S = 15.0  # between two looks at the objects of such a batch
LISTING_S = 30  # seconds after which a process that lists a batch is considered dead


GONE = Error("gone", "the object is not in the bucket, or the settings exclude it")


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


class Batches:
    """Creates batches and reports their status. ``room``: how many there may be. Raises ``StoreUnavailable``."""

    def __init__(
        self,
        client: Client,
        keys: Keys,
        reader: ProgressReader,
        store: ObjectStore,
        low_priority_inbox: Inbox,
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
        self._objects = objects or BatchObjects(client, keys)
        self.room = BatchRoom(client, keys, clock, objects)

    def of_keys(self, keys: Sequence[str], *, announce: bool, force: bool = False, owner: str = "") -> str:
        """Create a batch of these keys; returns its id. ``announce``: their events are not in the inbox yet."""
        batch = self._new(owner, complete=True)
        for start in range(0, len(keys), PAGE):
            self._objects.enter(batch, self._events(keys[start : start + PAGE], force=force), announce=announce)
        return batch

    def of_prefix(self, prefix: str, *, force: bool = False, owner: str = "") -> str:
        """Create a batch of all objects below a prefix, listed by ``list_page``; returns its id.

        Raises ``BatchesFull``.
        """
        self.room.check_prefix(owner)
        batch = self._new(owner, complete=False, prefix=raw(prefix), after=b"", force=int(force))
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

    def settle_next(self) -> None:
        """Count what has finished of the batch that was looked at longest ago, and forget it if it is finished.

        So batches that nobody asks for do not fill Redis. Does nothing if that was a short time ago.
        """
        if (batch := self.room.due()) is not None:
            self.status(batch)

    def status(self, batch: str, starts: Sequence[int] | None = None, limit: int = 50) -> BatchStatus | None:
        """Status of a batch with its failures from a place on; ``None`` if the batch does not exist.

        ``starts``: the ``further`` of the page before. Failures come in the order in which they ended.
        """
        with translated():
            about = {text(k): v for k, v in self._redis.hgetall(self._keys.batch(batch)).items()}
        if not about:
            self.room.ended(batch)
            return None
        open_ = self._settle(batch)
        ended, failed, further = self._objects.ended(batch, starts, limit)
        total = ended.total() + open_.total()
        failures = self._failures(list(map(text, failed)))
        complete = about["complete"] == b"1"
        if complete and not open_:
            self.room.ended(batch)
        return BatchStatus(
            id=batch, created_at=float(about["created_at"]), complete=complete,
            finished=complete and not open_, total=total, counts=dict(ended + open_),
            failures=failures, further=further,
        )  # fmt: skip

    def _new(self, owner: str, *, complete: bool, **more: Any) -> str:
        batch, name = secrets.token_hex(12), self._keys.batch
        about = {"created_at": self._clock(), "complete": int(complete), "owner": owner, **more}
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
            if self._clock() >= self._settle_again.get(batch, 0.0):
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
                    ended.append((member, "gone" if progress is None else progress.state))
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
            record = progress.record if progress else None
            state = progress.state if progress else "gone"
            error = record.error if record else None
            found.append(Failure(bucket, key, state, GONE if progress is None else error))
        return found
