"""The sweep: compares a bucket with the records and tells the inbox what events have missed.

Both are in the order of their keys, so one pass over each is enough, in pages, and memory does not grow with the
bucket. All of it may be repeated, and runs beside live events: what is on its way is not told again, and what seems
gone is looked up before it is told.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from vectordb.errors import Transient
from workers.connection import Client, text, translated
from workers.events.event import ObjectEvent
from workers.inbox import Inbox
from workers.layout import Keys
from workers.records import PAGE, Records, in_pages
from workers.stores.store import ObjectError, ObjectInfo, ObjectStore

BACKLOG = 2000  # events in the inbox from which on a pass waits: what it has told must be dealt with first
LOCK_MS = 60_000


class SweepRunning(Transient):
    """Somebody is comparing this bucket at this moment."""


@dataclass(frozen=True)
class Sweep:
    """What a pass has seen so far: objects in the bucket, events for missing and changed, and for gone ones.

    ``after``: the last key it has dealt with.
    """

    seen: int = 0
    sent: int = 0
    gone: int = 0
    after: str = ""


def reconcile(
    store: ObjectStore,
    bucket: str,
    records: Records,
    inbox: Inbox,
    *,
    prefix: str = "",
    after: str = "",
    wanted: Callable[[ObjectInfo], bool] = lambda _: True,
) -> Iterator[Sweep]:
    """One pass, a page at a time: what has been seen up to each. It may begin ``after`` a key.

    An event is sent for every object that is ``wanted`` and has neither a record of this etag nor is on its way,
    and for every record whose object is gone.
    """
    records.complete_order()
    seen = sent = gone = 0
    for page in in_pages(store.list(bucket, prefix, after), PAGE):
        last = page[-1].ref.key
        changed = _changed(page, records, wanted)
        there = {info.ref.key for info in page}
        lost = _lost(store, bucket, (k for k in records.keys(bucket, prefix, after, last) if k not in there))
        inbox.append([*changed, *lost])
        seen, sent, gone, after = seen + len(page), sent + len(changed), gone + len(lost), last
        yield Sweep(seen, sent, gone, after)
    for keys in in_pages(records.keys(bucket, prefix, after), PAGE):
        lost = _lost(store, bucket, iter(keys))
        inbox.append(lost)
        gone, after = gone + len(lost), keys[-1]
        yield Sweep(seen, sent, gone, after)


def _changed(page: list[ObjectInfo], records: Records, wanted: Callable[[ObjectInfo], bool]) -> list[ObjectEvent]:
    known = records.known([info.ref.id for info in page])
    return [
        ObjectEvent.seen(info)
        for info, etags in zip(page, known, strict=True)
        if info.ref.etag not in etags and wanted(info)
    ]


def _lost(store: ObjectStore, bucket: str, keys: Iterator[str]) -> list[ObjectEvent]:
    return [ObjectEvent("removed", bucket, key, verified=True) for key in keys if _gone(store, bucket, key)]


def _gone(store: ObjectStore, bucket: str, key: str) -> bool:
    try:
        return store.stat(bucket, key) is None
    except (ObjectError, Transient):  # what one may not look at is not gone; nor is what nobody answers for
        return False


class Sweeper:
    """Passes over one bucket, in turns. A pass that is interrupted goes on where it was, in whichever process.

    Two at once do no harm: the second is refused with ``SweepRunning``, for as long as the first makes progress.
    """

    def __init__(
        self,
        store: ObjectStore,
        bucket: str,
        records: Records,
        inbox: Inbox,
        client: Client,
        keys: Keys,
        *,
        prefix: str = "",
        wanted: Callable[[ObjectInfo], bool] = lambda _: True,
        resume: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``resume``: whether passes may go on where one was interrupted. One that compares only a part must not."""
        self._store = store
        self._bucket = bucket
        self._records = records
        self._inbox = inbox
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._lock = keys.lock(f"reconcile:{bucket}")
        self._marker = keys.reconcile(bucket)
        self._prefix = prefix
        self._wanted = wanted
        self._resume = resume
        self._clock = clock
        self._token = secrets.token_hex(8)
        self._pass: Iterator[Sweep] | None = None
        self.told = Sweep()
        """What the pass under way, or the last one, has seen."""

    @property
    def under_way(self) -> bool:
        """Whether a pass has begun and not ended."""
        return self._pass is not None

    def turn(self, budget_s: float) -> bool:
        """Go on with the pass, or begin one, for about so long. True when it has come to its end.

        Does nothing while the inbox is full. Raises ``SweepRunning``, ``StoreAway``, ``StoreUnavailable``; the
        pass then goes on at the next turn.
        """
        self._claim()
        if self._pass is None:
            self._pass = self._begun()
        until = self._clock() + budget_s
        try:
            while self._inbox.length() <= BACKLOG:
                step = next(self._pass, None)
                if step is None:
                    self._finish()
                    return True
                self.told = step
                self._claim()
                self._note(step.after)
                if self._clock() >= until:
                    break
        except BaseException:
            self._pass = None  # a generator that raised is over; the note says where to go on
            with contextlib.suppress(Transient):
                self.release()
            raise
        return False

    def hold(self) -> None:
        """Keep others from this bucket between two turns that are far apart."""
        if self.under_way:
            self._claim()

    def release(self) -> None:
        """Let somebody else sweep."""
        with translated():
            if self._redis.get(self._lock) == self._token.encode():
                self._redis.delete(self._lock)

    def _begun(self) -> Iterator[Sweep]:
        after = ""
        if self._resume:
            with translated():
                prefix, noted = self._redis.hmget(self._marker, "prefix", "after")
            after = text(noted) if noted is not None and text(prefix) == self._prefix else ""
        self.told = Sweep()
        return reconcile(
            self._store, self._bucket, self._records, self._inbox,
            prefix=self._prefix, after=after, wanted=self._wanted,
        )  # fmt: skip

    def _note(self, after: str) -> None:
        if self._resume:
            with translated():
                self._redis.hset(self._marker, mapping={"prefix": self._prefix, "after": after})

    def _finish(self) -> None:
        self._pass = None
        if self._resume:
            with translated():
                self._redis.delete(self._marker)
        self.release()

    def _claim(self) -> None:
        """Take the lock, or keep it."""
        with translated():
            if self._redis.set(self._lock, self._token, nx=True, px=LOCK_MS):
                return
            if self._redis.get(self._lock) != self._token.encode():
                raise SweepRunning(f"the bucket {self._bucket} is being compared with its records already")
            self._redis.pexpire(self._lock, LOCK_MS)
