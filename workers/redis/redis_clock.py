"""The time of Redis, for everything that another process compares with its own: hosts' clocks may be wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from vectordb.errors import Transient

FRESH_S = 10.0  # after which the time is read again, beside the work
STALE_S = 60.0  # after which a caller waits until it is read: this process has slept
AGAIN_S = 1.0  # between two attempts while Redis does not answer
SLOW_S = 0.5  # of an answer, whose time is then not known well enough to replace another one
OFF_FROM_S = 5.0  # from which a difference is reported; smaller ones harm nothing


def steady() -> float:
    """Seconds that also pass while the machine sleeps, and that no change of its clock touches."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class RedisClock:
    """Unix seconds by the clock of Redis. Between two readings, the time since the last one is added.

    Before the first reading it is the host's own clock. A fork keeps what was read. Thread-safe; raises nothing.
    """

    def __init__(
        self,
        read: Callable[[], float],
        host: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = steady,
        *,
        beside: bool = True,
    ) -> None:
        """``read``: the time of Redis, in Unix seconds; it raises ``Transient`` soon if Redis does not answer.

        ``host``: the clock of this host. ``elapsed``: seconds that only grow. ``beside``: read it again in a thread.
        """
        self._beside = beside
        self._read = read
        self._host = host
        self._elapsed = elapsed
        self._known: tuple[float, float] | None = None  # a time of Redis, and when it was, by ``elapsed``
        self._asked = float("-inf")

    def __call__(self) -> float:
        """Unix seconds."""
        self._renew()
        known = self._known
        return self._host() if known is None else known[0] + self._elapsed() - known[1]

    def offset(self) -> float:
        """Seconds by which the clock of this host is ahead of that of Redis; below 0 if it is behind."""
        return self._host() - self()

    def read(self) -> None:
        """Read the time of Redis now. Keeps what is known if Redis does not answer."""
        self._asked = begun = self._elapsed()
        try:
            at = self._read()
        except Transient:
            return
        ended = self._elapsed()
        if self._known is None or ended - begun < SLOW_S:
            self._known = at, (begun + ended) / 2

    def _renew(self) -> None:
        now = self._elapsed()
        age = float("inf") if self._known is None else now - self._known[1]
        if age < 0:  # even this clock was set back, as in a machine that was restored from a snapshot
            self.read()
            return
        if age < FRESH_S or 0 <= now - self._asked < AGAIN_S:
            return
        if age > STALE_S or not self._beside:
            self.read()
            return
        self._asked = now  # no other thread begins
        try:
            threading.Thread(target=self.read, name="clock", daemon=True).start()
        except RuntimeError:  # too many threads, or the interpreter ends
            self.read()


def seconds(client: Any) -> float:
    """What a client of redis-py reads as the time of its server, in Unix seconds."""
    at, micro = client.time()
    return float(at) + float(micro) / 1e6


def off(offsets: Iterable[tuple[str, float]]) -> list[str]:
    """A line for each clock that differs noticeably. ``offsets``: where, and seconds ahead of Redis."""
    return [
        f"the clock of {host} is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} that of Redis; deadlines"
        " use that of Redis, but the times in logs there are wrong, and S3 servers may refuse its requests"
        for host, ahead in sorted(set(offsets))
        if abs(ahead) >= OFF_FROM_S
    ]
