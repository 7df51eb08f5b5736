"""The one rule by which new work is accepted, whatever the way in: uploads, presigned uploads, batches, retags.

Objects that no worker has started are waiting. Above the limit nobody gets in. Below it each API key may have as many
objects waiting as there is room for others (``workers.gateway.shares``). How many of the waiting objects are a key's
is estimated: what was accepted from it, reduced in proportion as the queue drains. Admin keys, and requests that need
no key, have no share of their own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio.to_thread

from workers.gateway.access import Caller
from workers.gateway.api_keys import Scope
from workers.gateway.problems import Problem
from workers.gateway.services import Options
from workers.gateway.shares import Shares
from workers.lifecycle.progress import ProgressReader
from workers.segmentation.requests import NONE

BACKLOG_EVERY_S = 0.25  # maximum age of the number of waiting objects
RETRY_S = 10


class Admission:
    """Accepts objects. Thread-safe. Raises ``Problem``, ``StoreUnavailable``."""

    def __init__(
        self, progress: ProgressReader, options: Options, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._progress = progress
        self._most = options.backlog_max
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting = 0
        self._read_at = -1.0
        self._held: dict[str, float] = {}

    def admit(self, caller: Caller, count: int = 1, method: str | None = None) -> None:
        """Accept ``count`` objects of a caller. Blocks.

        ``method``: the requested segmentation method; if there is one, the segmentation queue counts as well.
        """
        if method not in {None, NONE} and self._progress.waiting(segmented=True) >= self._most:
            raise Problem.later("busy", "too many images are waiting for segmentation; try again later", RETRY_S)
        if self._stale():
            self._update(self._progress.waiting())
        with self._lock:
            self._check(caller, count)
            self._waiting += count
            if caller.name:
                self._held[caller.name] = self._held.get(caller.name, 0.0) + count

    async def admitted(self, caller: Caller, count: int = 1, method: str | None = None) -> None:
        """The same, without blocking."""
        if method in {None, NONE} and not self._stale():
            self.admit(caller, count, method)
        else:
            await anyio.to_thread.run_sync(self.admit, caller, count, method)

    def _stale(self) -> bool:
        return self._clock() - self._read_at > BACKLOG_EVERY_S

    def _update(self, waiting: int) -> None:
        with self._lock:
            if waiting < self._waiting:
                left = waiting / self._waiting
                self._held = {name: held * left for name, held in self._held.items() if held * left >= 0.5}
            self._waiting = waiting
            self._read_at = self._clock()

    def _check(self, caller: Caller, count: int) -> None:
        bounded = bool(caller.name) and caller.scope < Scope.ADMIN
        possible = max(1, self._most // 2) if bounded else self._most
        if count > possible:
            whose = "of one API key" if bounded else "here"
            detail = f"{count:,} objects at once; at most {possible:,} {whose} may wait. Send fewer, or a prefix"
            raise Problem("too-large", detail)
        if self._waiting >= self._most or self._waiting + count > self._most:
            detail = f"{self._waiting:,} images are waiting; the limit is {self._most:,}; try again later"
            raise Problem.later("busy", detail, RETRY_S)
        if not bounded:
            return
        held, free = self._held.get(caller.name, 0.0), self._most - self._waiting - count
        if held + count > max(1, free):
            detail = f"about {held:,.0f} images of this API key are waiting, which is its share; try again later"
            raise Problem.later("too-many", detail, RETRY_S)


class Places:
    """Limits how many requests of one kind are served at the same time, and shares the places among API keys.

    ``what``: the kind, in the plural. For one thread.
    """

    def __init__(self, most: int, what: str, retry_s: int = 1) -> None:
        self._shares = Shares(most)
        self._what = what
        self._retry_s = retry_s

    @property
    def used(self) -> int:
        """The number of places in use."""
        return self._shares.used

    @contextmanager
    def place(self, caller: Caller) -> Iterator[None]:
        """Occupy a place. Raises ``Problem`` if there is none."""
        who = caller.name or None
        refusal = self._shares.refusal(who, 1)
        if refusal == "full":
            in_use = self._shares.used
            raise Problem.later(
                "too-many", f"{in_use} {self._what} are in progress, which is the limit", self._retry_s
            )
        if refusal == "share":
            held = self._shares.held(caller.name)
            raise Problem.later(
                "too-many", f"{held} {self._what} of this API key are in progress, its share", self._retry_s
            )
        self._shares.take(who, 1)
        try:
            yield
        finally:
            self._shares.give_back(who, 1)
