"""Runs passes of the comparison (``workers.dispatch.reconcile``) over one bucket, and deals with what is missing."""

from __future__ import annotations

import contextlib
import math
import secrets
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any

from tasks.message_parts import place_of
from vectordb.errors import Transient
from workers.dispatch.folder_mounts import FolderMounts
from workers.dispatch.interrupted import Interrupted
from workers.dispatch.missing_objects import Missing, confirmed_missing, emptied, gone_of, moved_objects
from workers.dispatch.reconcile import Sweep, reconcile
from workers.dispatch.removals import DEFAULT_LIMITS, Holds, Limits
from workers.dispatch.same_versions import Adopt, nothing
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import EventInbox
from workers.lifecycle.record_reader import Records
from workers.redis.connection import Client, text, translated
from workers.redis.data_loss import Refill
from workers.redis.keys import Keys
from workers.stores.store import ObjectInfo, ObjectStore

BACKLOG = 2000  # events in the inbox at which a pass pauses: the events it has added must be processed first
LOCK_MS = 60_000


class SweepRunning(Transient):
    """Another process is comparing this bucket."""


class Sweeper:
    """Runs passes over one bucket, step by step. An interrupted pass resumes where it stopped.

    Two at once do not disturb each other: the second gets ``SweepRunning`` while the first is active.
    """

    def __init__(
        self,
        store: ObjectStore,
        bucket: str,
        records: Records,
        inbox: EventInbox,
        client: Client,
        keys: Keys,
        holds: Holds,
        *,
        limits: Limits = DEFAULT_LIMITS,
        confirmed: bool = False,
        prefix: str = "",
        wanted: Callable[[ObjectInfo], bool] = lambda _: True,
        resume: bool = True,
        rate: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        adopt: Adopt = nothing,
        mounts: FolderMounts | None = None,
        refill: Refill | None = None,
        interrupted: Interrupted | None = None,
        strays: Callable[[str], Iterator[int]] = lambda _: iter(()),
    ) -> None:
        """``limits``: of the removals that are believed. ``confirmed``: a user has confirmed them, however many.

        ``resume``: share the position, so that other processes can resume an interrupted pass. Do not set it for
        passes over a part of the bucket. ``refill``: is told when the bucket was compared completely. ``rate``:
        maximum number of objects per second, applied per page. ``strays``: deals with
        artifacts of a bucket that belong to nothing, and yields how many segmentations it has requested again.
        """
        self._store = store
        self._bucket = bucket
        self._records = records
        self._inbox = inbox
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._holds = holds
        self._interrupted = interrupted or Interrupted(client, keys)
        self._limits = limits
        self._confirmed = confirmed
        self._lock = keys.lock(f"reconcile:{bucket}")
        self._marker = keys.reconcile(bucket)
        self._prefix = prefix
        self._wanted = wanted
        self._resume = resume
        self._rate = rate
        self._clock = clock
        self._adopt = adopt
        self._mounts = mounts
        self._refill = refill
        self._strays = strays
        self._refilled_since: float | None = None
        self._due = -math.inf
        self._token = secrets.token_hex(8)
        self._missing = Missing(client, keys, bucket if resume else f"{bucket}:{self._token}")
        self._pass: Iterator[Sweep] | None = None
        self._compared = False  # the bucket is compared, and what is missing is to be dealt with
        self._at: str | None = None  # the last key that was compared; ``None`` after a finished pass
        self._again = self._upto = ""  # up to where the pass repeats the beginning, and once it does that
        self._before = Sweep()  # progress before it started, resumed, or started again
        self.progress = Sweep()
        """Progress of the current or last pass."""

    def step(self, budget_s: float) -> bool:
        """Continue the pass, or start one, for about ``budget_s`` seconds. True when it has finished.

        Does nothing while the inbox is full or the rate is exceeded. Raises ``SweepRunning``, ``StoreAway``,
        ``StoreUnavailable``; the next call resumes.
        """
        self._claim()
        until = self._clock() + budget_s
        try:
            while self._clock() >= self._due and self._inbox.length() <= BACKLOG:
                self._pass = self._pass or self._begun()
                began = self._clock()
                over = self._over(next(self._pass, None), began)
                if over and not self._compared:
                    self._compared = True
                    self._pass = self._begun()
                    over = self._over(next(self._pass, None), began)
                if over:
                    self._finish()
                    return True
                self._claim()
                self._note()
                if self._clock() >= until:
                    break
        except BaseException:
            self._pass = None  # a generator that raised is finished; the position is known
            with contextlib.suppress(Transient):
                self.release()
            raise
        return False

    @property
    def idle(self) -> bool:
        """Whether no pass has begun."""
        return self._pass is None and self._at is None

    def rescan(self) -> None:
        """Let the current pass, if any, compare again what it has already seen, because it may have changed."""
        self._again, self._upto = self._at or "", ""

    def restart(self) -> None:
        """Give the current pass up, if any: Redis has lost what it has compared. Raises ``StoreUnavailable``."""
        if self._resume:
            with translated():
                self._redis.delete(self._marker)
        self._pass = self._at = None
        self._compared = False
        self._again = self._upto = ""

    def release(self) -> None:
        """Release the lock, so that other processes may sweep."""
        with translated():
            if self._redis.get(self._lock) == self._token.encode():
                self._redis.delete(self._lock)

    def _begun(self) -> Iterator[Sweep]:
        if self._compared:
            self._before = self.progress
            return self._removals()
        begins, self._at = self._at is None, self._at or ""
        if begins:
            self.progress = Sweep()
            if self._mounts:
                self._mounts.note(self._bucket)
            self._tag_damaged()
        if self._resume:
            with translated():
                prefix, noted = self._redis.hmget(self._marker, "prefix", "after")
            self._at = text(noted) if noted is not None and text(prefix) == self._prefix else ""
        if begins and not self._at:
            self._missing.clear()
        if self._refill and not self._at and not self._prefix:
            self._refilled_since = self._refill.since()
        self._before = self.progress
        return reconcile(
            self._store, self._bucket, self._records, self._inbox, self._missing,
            prefix=self._prefix, after=self._at, wanted=self._wanted, adopt=self._adopt,
        )  # fmt: skip

    def _over(self, step: Sweep | None, began: float) -> bool:
        """Add the progress since ``began``. Returns whether the pass has finished."""
        if step is None:
            if not self._again:
                return True
            self._at, self._upto, self._again = "", self._again, ""
            self._pass, self._compared = None, False
            return False
        before, self.progress = self.progress, self._before.and_then(step)
        if self._rate:
            self._due = began + (self.progress.seen + self.progress.gone - before.seen - before.gone) / self._rate
        if self._compared:
            return False
        self._at = step.after
        return "" < self._upto <= self._at

    def _removals(self) -> Iterator[Sweep]:
        """Report what is missing as removed, page by page, or hold it.

        A pass over a part of the bucket neither ends a hold nor changes it: it does not know what else is missing.
        """
        if not self._confirmed:
            if self._prefix and self._limits.hold and self._holds.of(self._bucket):
                self._missing.clear()
                return
            known = self._records.count_in(self._bucket)
            doubt = self._mounts.replaced(self._bucket) if self._mounts else None
            if not doubt and self._prefix and self._missing.count():  # few are missing here, but perhaps all
                doubt = emptied(self._store, self._bucket)
            missing = yield from self._implausible(known, self._limits.without_trust() if doubt else self._limits)
            if missing:
                why = doubt or emptied(self._store, self._bucket) or "the others are there"
                self._holds.begin(self._bucket, missing, known, why)
                self._missing.clear()
                return
        elif self._mounts and not self._prefix:
            self._mounts.accept(self._bucket)
        sent = gone = 0
        if not self._prefix:
            self._holds.end(self._bucket)
            for step in self._queued_again():
                yield step
                sent = step.sent
        for keys in self._missing.pages():
            lost = gone_of(self._store, self._bucket, keys)
            removed = partial(ObjectEvent, "removed", self._bucket, verified=True, requested=self._confirmed)
            self._inbox.append([*map(removed, lost)])
            self._missing.discard(keys)
            gone += len(lost)
            yield Sweep(sent=sent, gone=gone, after=keys[-1])
        for queued in self._strays(self._bucket) if not self._prefix else ():
            sent += queued
            yield Sweep(sent=sent, gone=gone)

    def _queued_again(self) -> Iterator[Sweep]:
        """Queue what was to be tagged again when the hold began. What is gone is removed by the same event."""
        sent = 0
        for keys in self._interrupted.pages(self._bucket):
            again = partial(ObjectEvent, "created", self._bucket, force=True, requested=self._confirmed)
            self._inbox.append([*map(again, keys)])
            self._interrupted.discard(self._bucket, keys)
            sent += len(keys)
            yield Sweep(sent=sent, after=keys[-1])

    def _implausible(self, known: int, limits: Limits) -> Generator[Sweep, None, int]:
        """The number of missing objects if that is too many to be believed, else 0. Yields while looking them up."""
        missing = self._missing.count()
        hold = self._holds.of(self._bucket)
        if not limits.exceeded(missing, known):
            return 0
        if hold and missing == hold.missing:  # nothing has changed
            return missing
        for gone in confirmed_missing(self._store, self._bucket, self._missing):
            yield Sweep()
            if limits.exceeded(gone, known):  # the others need not be looked up
                break
        missing, moved = self._missing.count(), 0
        if limits.exceeded(missing, known):
            for moved in moved_objects(self._store, self._bucket, self._records, self._missing):  # noqa: B007 -- the last
                yield Sweep()
        return missing - moved if limits.exceeded(missing - moved, known) else 0

    def _tag_damaged(self) -> None:
        """Have the objects tagged again whose records cannot be read, unless they are in progress."""
        start = f"{self._bucket}/{self._prefix}"
        damaged = [oid for oid in self._records.damaged.list() if oid.startswith(start)]
        idle = [oid for oid, (_, current) in zip(damaged, self._records.known(damaged), strict=True) if not current]
        self._inbox.append([ObjectEvent("created", self._bucket, place_of(oid)[1], force=True) for oid in idle])

    def _note(self) -> None:
        if self._resume:
            with translated():
                self._redis.hset(self._marker, mapping={"prefix": self._prefix, "after": self._at})

    def _finish(self) -> None:
        if self._refill and not self._prefix:
            self._refill.swept(self._refilled_since)
            self._refilled_since = None
        self._pass = self._at = None
        self._compared = False
        self._again = self._upto = ""
        if self._resume:
            with translated():
                self._redis.delete(self._marker)
        self.release()

    def _claim(self) -> None:
        """Acquire or renew the lock."""
        with translated():
            if self._redis.set(self._lock, self._token, nx=True, px=LOCK_MS):
                return
            if self._redis.get(self._lock) != self._token.encode():
                raise SweepRunning(
                    f"another process is comparing the bucket {self._bucket} with its records; try again when"
                    " it has finished"
                )
            self._redis.pexpire(self._lock, LOCK_MS)
