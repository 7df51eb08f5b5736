"""Brings the sweep forward when an event reports that something changed and not what.

Some servers send events without a key, or with one that cannot be read. Such an event asks for a comparison of the
bucket, or of the part that it names (``P sweep-requests``). All requests that wait are met by one pass, and passes
that were brought forward are at least ``REST_S`` apart, and as far apart as the last one took: a server that sends
many such events causes at most twice the work of one pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from workers.dispatch.sweeper import Sweeper
from workers.redis import scripts
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys

log = structlog.get_logger()

LOOK_S = 1.0
REST_S = 10.0
MERGE_S = 10.0
MOST = 1000  # prefixes that wait for the end of a pass; more of them are one request for the whole bucket
PARTS = 8  # prefixes that are compared one by one; more of them are compared with the whole bucket


class SweepRequests:
    """The requests that wait, by prefix of keys; an empty one means the whole bucket. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.sweep_requests
        self._settle: Any = client.register_script(scripts.source("settle_sweeps"))

    def waiting(self) -> dict[str, int]:
        """Prefix → number of events that asked for it."""
        with translated():
            return {text(prefix): int(count) for prefix, count in self._redis.hgetall(self._key).items()}

    def merge(self, most: int = MOST) -> None:
        """Make one request for the whole bucket of them if there are more than ``most``."""
        with translated():
            if self._redis.hlen(self._key) <= most:
                return
            waiting = self.waiting()
            self._redis.hincrby(self._key, "", 1)
        self.settle({prefix: count for prefix, count in waiting.items() if prefix})

    def settle(self, met: Mapping[str, int]) -> None:
        """Remove requests that were read by ``waiting`` and are met. Later ones of the same prefix stay."""
        if met:
            with translated():
                self._settle(
                    keys=[self._key], args=[part for item in met.items() for part in (raw(item[0]), item[1])]
                )


class RequestedSweeps:
    """Decides when a sweep is brought forward. Raises ``Transient``.

    ``part``: a sweeper of the objects below a prefix, if parts can be compared.
    """

    def __init__(
        self,
        requests: SweepRequests,
        part: Callable[[str], Sweeper] | None = None,
        *,
        rest_s: float = REST_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._requests = requests
        self._part = part
        self._rest_s = rest_s
        self._clock = clock
        self._met: dict[str, int] = {}
        self._sweepers: list[Sweeper] = []
        self._began = self._look = self._due = self._merge = 0.0

    def due(self, *, idle: bool = True) -> bool:
        """Whether a pass over the whole bucket is wanted now. ``idle``: no such pass is running.

        Call ``ended`` after that pass. Parts of the bucket are begun here, and compared by ``step``.
        """
        now = self._clock()
        if now >= self._merge:
            self._merge = now + MERGE_S
            self._requests.merge()
        if self._met or now < max(self._look, self._due):
            return False
        self._look = now + LOOK_S
        waiting = self._requests.waiting()
        if not waiting:
            return False
        log.info("sweep brought forward", events=sum(waiting.values()), prefixes=sorted(waiting)[:PARTS])
        self._met, self._began = waiting, now
        if self._part is None or not idle or "" in waiting or len(waiting) > PARTS:
            return True
        self._sweepers = [self._part(prefix) for prefix in sorted(waiting)]
        return False

    def step(self, budget_s: float) -> bool:
        """Compare the parts for about ``budget_s`` seconds. False if there are none."""
        if not self._sweepers:
            return False
        if self._sweepers[0].step(budget_s):
            done = self._sweepers.pop(0).progress
            log.info("swept a part", seen=done.seen, sent=done.sent, gone=done.gone)
            if not self._sweepers:
                self.ended()
        return True

    def ended(self) -> None:
        """Note that a pass over the whole bucket, or over all parts, has ended."""
        if self._met:
            self._requests.settle(self._met)
            self._met = {}
            now = self._clock()
            self._due = now + max(self._rest_s, now - self._began)

    def restart(self) -> None:
        """Forget what was begun: Redis has lost its data."""
        self._met, self._sweepers = {}, []

    def release(self) -> None:
        """Release the lock of a part that is being compared, so that other processes may sweep."""
        for sweeper in self._sweepers[:1]:
            sweeper.release()
