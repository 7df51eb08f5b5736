"""A stage between a bucket and the intake of its events, that loses, repeats, reorders and delays notifications.

It takes notifications as MinIO sends them by its webhook, and passes them on to the gateway.
"""

from __future__ import annotations

import heapq
import random
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ops.chaos.http_server import Handler, serving
from vectordb.proxies import DIRECT

LOST, REPEATED, DELAYED, REORDERED = 0.1, 0.1, 0.1, 0.3  # shares of the notifications
LATE_S = 20.0  # at most, of those that are delayed and repeated
NEAR_S = 1.5  # within which the order changes
RETRY_S = 1.0
GIVEN_UP_S = 120.0  # after which a notification that nobody takes is lost


class Notifications:
    """The stage, while it runs. ``url``: where the bucket sends to. ``counts``: what became of notifications."""

    def __init__(self, seed: int, target: Callable[[], str], token: str) -> None:
        """``target`` returns the URL that they are passed on to; may raise ``OSError``. ``token``: shown there."""
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        self.url = ""
        self.counts: Counter[str] = Counter()
        self._target = target
        self._chance = random.Random(seed)
        self._due: list[tuple[float, float, int, bytes]] = []
        self._number = 0
        self._changed = threading.Condition()
        self._closed = False

    def take(self, body: bytes) -> None:
        """Take a notification, and decide what becomes of it."""
        for kind, pause in fates(self._chance):
            self.counts[kind] += 1
            if pause is not None:
                self._put(time.monotonic() + pause, time.monotonic(), body)

    def _put(self, when: float, taken: float, body: bytes) -> None:
        with self._changed:
            self._number += 1
            heapq.heappush(self._due, (when, taken, self._number, body))
            self._changed.notify()

    def run(self) -> None:
        """Pass on what is due, until ``close``."""
        while True:
            with self._changed:
                while not self._closed and (not self._due or self._due[0][0] > time.monotonic()):
                    self._changed.wait(max(0.0, self._due[0][0] - time.monotonic()) if self._due else None)
                if self._closed:
                    return
                _, taken, _, body = heapq.heappop(self._due)
            if self._passed(body):
                self.counts["passed on"] += 1
            elif time.monotonic() - taken < GIVEN_UP_S:
                self._put(time.monotonic() + RETRY_S, taken, body)
            else:
                self.counts["given up"] += 1

    def close(self) -> None:
        """End it. What is still held is lost."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _passed(self, body: bytes) -> bool:
        try:
            request = urllib.request.Request(self._target(), body, self._headers)
            with DIRECT.open(request, timeout=10) as answer:
                return bool(200 <= answer.status < 300)
        except (OSError, ValueError, KeyError):
            return False


def fates(chance: random.Random) -> list[tuple[str, float | None]]:
    """What becomes of a notification: kinds, and seconds until it is passed on; ``None``: it is not, by this one."""
    kind = chance.random()
    if kind < LOST:
        return [("lost", None)]
    if kind < LOST + REPEATED:
        return [("repeated", 0.0), ("again", chance.uniform(0, LATE_S))]
    if kind < LOST + REPEATED + DELAYED:
        return [("delayed", chance.uniform(NEAR_S, LATE_S))]
    if kind < LOST + REPEATED + DELAYED + REORDERED:
        return [("reordered", chance.uniform(0, NEAR_S))]
    return [("at once", 0.0)]


@contextmanager
def notifications(seed: int, target: Callable[[], str], token: str) -> Iterator[Notifications]:
    """The stage on a free port of the loopback address; as ``Notifications``."""
    state = Notifications(seed, target, token)
    thread = threading.Thread(target=state.run, name="chaos notifications", daemon=True)
    with serving(_Handler, state) as port:
        state.url = f"http://127.0.0.1:{port}/"
        thread.start()
        try:
            yield state
        finally:
            state.close()
            thread.join(5)


class _Handler(Handler):
    state: Notifications

    def do_POST(self) -> None:  # noqa: N802 -- the name that http.server calls
        self.state.take(self.body())
        self.finish_empty(200)
