"""Batches: objects that a client submits and tracks together.

A batch is a list of objects in Redis. Each object starts as ``open``. Every status request moves finished objects
into the counters, so a request costs only what is still open and counts nothing twice. A batch over a prefix is
listed page by page by ``list_page``, in any process, and resumes after an interruption.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec
import structlog

from tasks.message_parts import place_of
from vectordb.errors import WildtagError
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import Inbox, added_at, fields
from workers.lifecycle.progress import ProgressReader
from workers.lifecycle.record import Error, decode
from workers.redis import scripts
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys
from workers.stores.store import ObjectError, ObjectStore

log = structlog.get_logger()

LIFETIME_S = 7 * 86_400
PAGE = 500
AHEAD = 1000  # objects from prefix batches that may wait in the low-priority inbox at once
LISTING_S = 30  # seconds after which a process that lists a batch is considered dead
FAILED = ("failed", "dead")


class Failure(msgspec.Struct, frozen=True):
    """An object without tags, and the reason."""

    bucket: str
    key: str
    state: str
    error: Error | None


class BatchStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Status of a batch. ``complete``: all its objects are known; ``counts``: objects by state.

    ``gone`` counts objects that are not in the bucket, or are excluded by the object filter.
    """

    id: str
    created_at: float
    complete: bool
    finished: bool
    total: int
    counts: dict[str, int]
    failures: list[Failure]
    cursor: str | None


class Batches:
    """Creates batches and reports their status. Raises ``StoreUnavailable``."""

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
    ) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._reader = reader
        self._store = store
        self._low_priority_inbox = low_priority_inbox
        self._bucket = bucket
        self._followed = followed
        self._clock = clock
        self._enter_batch = self._redis.register_script(scripts.source("enter_batch"))

    def of_keys(self, keys: Sequence[str], *, announce: bool, force: bool = False) -> str:
        """Create a batch of these keys; returns its id. ``announce``: their events are not in the inbox yet."""
        batch = self._new(complete=True)
        with translated():
            for start in range(0, len(keys), PAGE):
                pipe = self._redis.pipeline(transaction=True)
                page, stream = keys[start : start + PAGE], self._keys.inbox if announce else None
                self._enter(pipe, batch, stream, page, force=force)
                pipe.execute()
        return batch

    def of_prefix(self, prefix: str, *, force: bool = False) -> str:
        """Create a batch of all objects below a prefix, listed by ``list_page``; returns its id."""
        batch = self._new(complete=False, prefix=raw(prefix), after=b"", force=int(force))
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

    def status(self, batch: str, start: int = 0, limit: int = 50) -> BatchStatus | None:
        """Status of a batch with its failures from ``start`` on; ``None`` if the batch does not exist."""
        with translated():
            about = {text(k): v for k, v in self._redis.hgetall(self._keys.batch(batch)).items()}
        if not about:
            return None
        open_ = self._settle(batch)
        with translated():
            pipe = self._redis.pipeline()
            pipe.hgetall(self._keys.batch(batch, "counts"))
            pipe.zrange(self._keys.batch(batch, "failed"), start, start + limit - 1)
            counts, failed = pipe.execute()
        ended = Counter({text(state): int(n) for state, n in counts.items()})
        total = ended.total() + open_.total()
        failures = self._failures(list(map(text, failed)))
        complete = about["complete"] == b"1"
        return BatchStatus(
            id=batch, created_at=float(about["created_at"]), complete=complete,
            finished=complete and not open_, total=total, counts=dict(ended + open_),
            failures=failures, cursor=str(start + limit) if len(failed) == limit else None,
        )  # fmt: skip

    def _new(self, *, complete: bool, **more: Any) -> str:
        batch, name = secrets.token_hex(12), self._keys.batch
        with translated():
            pipe = self._redis.pipeline()
            pipe.hset(name(batch), mapping={"created_at": self._clock(), "complete": int(complete), **more})
            pipe.expire(name(batch), LIFETIME_S)
            pipe.execute()
        return batch

    def _enter(self, pipe: Any, batch: str, stream: str | None, keys: Sequence[str], *, force: bool) -> None:
        """Add objects to the batch and append their events to the low-priority inbox; see the script."""
        args: list[Any] = [LIFETIME_S]
        for key in keys:
            args.append(raw(f"{self._bucket}/{key}"))
            if stream is not None:
                # without an ETag, the dispatcher checks whether the object exists and which version it is
                args.append(fields(ObjectEvent("created", self._bucket, key, force=force))["event"])
        of = self._keys.batch(batch, "open")
        self._enter_batch(keys=[of] if stream is None else [of, stream], args=args, client=pipe)

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
        found = self._store.list(self._bucket, text(prefix), text(after))
        keys = [info.ref.key for info in islice(found, PAGE)]
        with translated():
            pipe = self._redis.pipeline(transaction=True)
            if wanted := [key for key in keys if self._followed(key)]:
                self._enter(pipe, batch, self._keys.low_priority_inbox, wanted, force=force == b"1")
            if len(keys) == PAGE:
                pipe.hset(name, "after", raw(keys[-1]))
            else:
                pipe.hset(name, "complete", 1)
                pipe.srem(self._keys.batches, batch)
            pipe.execute()
        return True

    def _settle(self, batch: str) -> Counter[str]:
        """Count objects that have finished since the last call; returns the states of the others."""
        left: Counter[str] = Counter()
        name = self._keys.batch
        told_until = self._told_until()
        for members in self._open(batch):
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
                with translated():
                    pipe = self._redis.pipeline(transaction=False)
                    for member, state in ended:
                        self._move(pipe, batch, member, state)
                    pipe.execute()
                    self._redis.expire(name(batch, "counts"), LIFETIME_S)
                    self._redis.expire(name(batch, "failed"), LIFETIME_S)
        return left

    def _there(self, oid: str) -> bool:
        bucket, key = place_of(oid)
        try:
            return self._followed(key) and self._store.stat(bucket, key) is not None
        except ObjectError:
            return False

    def _move(self, pipe: Any, batch: str, member: bytes, state: str) -> None:
        # of two concurrent callers one removes it, and only that one counts it
        script = (
            "if redis.call('ZREM', KEYS[1], ARGV[1]) == 1 then redis.call('HINCRBY', KEYS[2], ARGV[2], 1) "
            "if ARGV[3] == '1' then redis.call('ZADD', KEYS[3], 0, ARGV[1]) end end"
        )
        name = self._keys.batch
        pipe.eval(
            script, 3, name(batch, "open"), name(batch, "counts"), name(batch, "failed"),
            member, state, int(state in FAILED),
        )  # fmt: skip

    def _open(self, batch: str) -> Iterator[list[tuple[bytes, float]]]:
        with translated():
            members = self._redis.zrange(self._keys.batch(batch, "open"), 0, -1, withscores=True)
        for start in range(0, len(members), PAGE):
            yield members[start : start + PAGE]

    def _told_until(self) -> float:
        """Milliseconds: all events added before this time have been dispatched."""
        oldest = []
        with translated():
            for stream in (self._keys.inbox, self._keys.low_priority_inbox):
                oldest += self._redis.xrange(stream, count=1)
        return min((added_at(text(entry)) * 1000 for entry, _ in oldest), default=float("inf"))

    def _failures(self, oids: Sequence[str]) -> list[Failure]:
        found = []
        for oid, progress in zip(oids, self._reader.look(oids), strict=True):
            bucket, key = place_of(oid)
            record = decode(bytes(progress.record)) if progress and progress.record is not None else None
            state = progress.state if progress else "gone"
            found.append(Failure(bucket, key, state, record.error if record else None))
        return found
