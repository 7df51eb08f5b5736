"""The sweep: compares a bucket with the records and tells the inbox what events have missed.

Both are in the order of their keys, so one pass over each is enough, in pages, and memory does not grow with the
bucket. All of it may be repeated, and runs beside live events: what is on its way is not told again, and what seems
gone is looked up before it is told.
"""

from __future__ import annotations

import contextlib
import math
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vectordb.errors import Permanent, Transient
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.record_reader import PAGE, Records, in_pages
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.stores.lookup import look
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

    def and_then(self, more: Sweep) -> Sweep:
        """Both together."""
        return Sweep(self.seen + more.seen, self.sent + more.sent, self.gone + more.gone, more.after)


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
        inbox.append(changed)
        seen, sent = seen + len(page), sent + len(changed)
        there = {info.ref.key for info in page}
        for number, keys in enumerate(in_pages(records.keys(bucket, prefix, after, last), PAGE)):
            if number:  # many records and few objects: of a mass deletion, too, only so much at a time
                yield Sweep(seen, sent, gone, after)
            lost = _lost(store, bucket, [key for key in keys if key not in there])
            inbox.append(lost)
            gone, after = gone + len(lost), keys[-1]
        after = last
        yield Sweep(seen, sent, gone, after)
    for keys in in_pages(records.keys(bucket, prefix, after), PAGE):
        lost = _lost(store, bucket, keys)
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


def _lost(store: ObjectStore, bucket: str, keys: Sequence[str]) -> list[ObjectEvent]:
    """What is gone of these. What one may not look at is not; nor is what nobody answers for."""
    lost = []
    for (_, key), found in look(store, ((bucket, key) for key in keys)).items():
        if found is None:
            lost.append(ObjectEvent("removed", bucket, key, verified=True))
        elif isinstance(found, Permanent) and not isinstance(found, ObjectError):
            raise found  # a fault of the bucket
    return lost


class Sweeper:
    """Passes over one bucket, in turns. A pass that is interrupted goes on where it was.

    Two at once do no harm: the second is refused with ``SweepRunning``, for as long as the first has its turns.
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
        rate: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``resume``: whether other processes may go on where a pass was interrupted, and the first one where another
        was. Passes that compare only a part must not. ``rate``: objects a second at the most, page by page.
        """
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
        self._rate = rate
        self._clock = clock
        self._due = -math.inf
        self._token = secrets.token_hex(8)
        self._pass: Iterator[Sweep] | None = None
        self._at: str | None = None  # the last key that was dealt with; not of a pass that is over
        self._again = ""  # up to where the pass goes through the bucket once more …
        self._upto = ""  # … and the same, when it has begun to
        self._before = Sweep()  # what it had seen when it began, went on, or began once more
        self.told = Sweep()
        """What the pass under way, or the last one, has seen."""

    def turn(self, budget_s: float) -> bool:
        """Go on with the pass, or begin one, for about so long. True when it has come to its end.

        Does nothing while the inbox is full or the rate is reached. Raises ``SweepRunning``, ``StoreAway``,
        ``StoreUnavailable``; the pass then goes on at the next turn.
        """
        self._claim()
        until = self._clock() + budget_s
        try:
            while self._clock() >= self._due and self._inbox.length() <= BACKLOG:
                self._pass = self._pass or self._begun()
                began = self._clock()
                if self._over(next(self._pass, None), began):
                    self._finish()
                    return True
                self._claim()
                self._note()
                if self._clock() >= until:
                    break
        except BaseException:
            self._pass = None  # a generator that raised is over; it is known where to go on
            with contextlib.suppress(Transient):
                self.release()
            raise
        return False

    def again(self) -> None:
        """Have the pass under way, if there is one, come back to what it has seen so far: that may have changed."""
        self._again, self._upto = self._at or "", ""

    def release(self) -> None:
        """Let somebody else sweep."""
        with translated():
            if self._redis.get(self._lock) == self._token.encode():
                self._redis.delete(self._lock)

    def _begun(self) -> Iterator[Sweep]:
        if self._at is None:
            self._at, self.told = "", Sweep()
        if self._resume:
            with translated():
                prefix, noted = self._redis.hmget(self._marker, "prefix", "after")
            self._at = text(noted) if noted is not None and text(prefix) == self._prefix else ""
        self._before = self.told
        return reconcile(
            self._store, self._bucket, self._records, self._inbox,
            prefix=self._prefix, after=self._at, wanted=self._wanted,
        )  # fmt: skip

    def _over(self, step: Sweep | None, began: float) -> bool:
        """Take in what was seen, from ``began`` on. Whether that was the last of it."""
        if step is None:
            if not self._again:
                return True
            self._at, self._upto, self._again = "", self._again, ""
            self._pass = None
            return False
        before, self.told = self.told, self._before.and_then(step)
        self._at = step.after
        if self._rate:
            self._due = began + (self.told.seen + self.told.gone - before.seen - before.gone) / self._rate
        return "" < self._upto <= self._at

    def _note(self) -> None:
        if self._resume:
            with translated():
                self._redis.hset(self._marker, mapping={"prefix": self._prefix, "after": self._at})

    def _finish(self) -> None:
        self._pass = self._at = None
        self._again = self._upto = ""
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
