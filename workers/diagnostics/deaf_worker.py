"""Ends a Celery worker that is connected but takes no messages, so that whatever supervises it starts it again.

Such a worker is alive by every outer sign: its process runs, its connection is open, and other workers of its queue
may send the heartbeats. Its connection may lead nowhere (a router forgot it), its event loop may hang in a read
without a timeout, or its consumer may have lost its credit. Compose restarts no container whose health check fails,
so the worker ends itself. A thread looks at it from inside (``DeafWorkerWatch``), over connections of its own:

* Messages were ready at every look, and it took none and had none in work: it is deaf.
* Its event loop has not run for a while: it hangs.

While Redis or the broker cannot be reached, or refuses writes, neither is its fault, and the time starts anew. So it
does when the process was suspended. A worker whose event loop runs and that has a message in work is never ended,
however long that takes: Celery's time limit is for this.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from vectordb.errors import Transient

log = structlog.get_logger()

END_S = 5.0  # for the log to be written
STATUS = 75  # EX_TEMPFAIL: exit status of a worker that ended itself


@dataclass(frozen=True)
class Pace:
    """Times in seconds: ``every_s`` between two looks. ``deaf_s``: messages were ready so long, and it took none.

    ``hangs_s``: its event loop has not run for so long. ``gap_s`` between two looks: the process was suspended.
    """

    every_s: float = 10.0
    deaf_s: float = 60.0
    hangs_s: float = 120.0
    gap_s: float = 30.0


PACE = Pace()


class Activity(Protocol):
    """What a worker has done. Attributes are read by a thread."""

    taken: int
    """Messages taken since the start."""
    turned_at: float
    """When its event loop last ran (``time.monotonic``)."""


@dataclass(frozen=True)
class Surroundings:
    """What the watch asks. ``busy``: whether a message is in work. ``stopping``: whether the worker is asked to end.

    ``reach`` raise ``Transient`` while Redis or the broker is unavailable. ``ready``: the number of messages that
    nobody has taken, of all queues of the worker; raises ``Transient``. None may block for long.
    """

    busy: Callable[[], bool]
    stopping: Callable[[], bool]
    reach: Sequence[Callable[[], object]]
    ready: Callable[[], int]


class DeafWorkerWatch:
    """To be called at intervals (``step``), by one thread."""

    def __init__(
        self, activity: Activity, around: Surroundings, clock: Callable[[], float] = time.monotonic, pace: Pace = PACE
    ) -> None:
        """``clock``: that of ``activity``."""
        self._activity, self._around, self._clock, self.pace = activity, around, clock, pace
        self._looked_at = clock()
        self._deaf_since: float | None = None
        self._hangs_since: float | None = None
        self._taken = activity.taken

    @property
    def suspected(self) -> bool:
        """Whether messages were ready at the last look and it has taken none since: it must not count as alive."""
        return self._deaf_since is not None and self._activity.taken == self._taken

    def step(self) -> str | None:
        """Look once. Returns why the worker must end, or ``None``."""
        now, taken = self._clock(), self._activity.taken
        suspended, self._looked_at = now - self._looked_at > self.pace.gap_s, now
        passed, self._taken = taken != self._taken, taken
        if suspended or self._around.stopping():
            self._deaf_since = self._hangs_since = None
            return None
        hangs = now - self._activity.turned_at > self.pace.gap_s
        idle = not passed and not self._around.busy()
        try:
            ready = self._ready() if idle or hangs else 0
        except Transient:
            self._deaf_since = self._hangs_since = None
            return None
        self._hangs_since = _since(self._hangs_since, now) if hangs else None
        self._deaf_since = _since(self._deaf_since, now) if idle and ready else None
        if self._deaf_since is not None and now - self._deaf_since >= self.pace.deaf_s:
            return f"{ready} messages are ready, and it has taken none for {now - self._deaf_since:.0f} s"
        if self._hangs_since is not None and now - self._hangs_since >= self.pace.hangs_s:
            return f"its event loop has not run for {now - self._activity.turned_at:.0f} s"
        return None

    def _ready(self) -> int:
        for call in self._around.reach:
            call()
        return self._around.ready()


def _since(before: float | None, now: float) -> float:
    return now if before is None else before


def watching(watch: DeafWorkerWatch, end: Callable[[int], object] = os._exit) -> None:
    """The body of the thread: returns when it has ended the worker. ``end``: ends the process with this status."""
    while True:
        time.sleep(watch.pace.every_s)
        try:
            reason = watch.step()
        except Exception:
            log.exception("cannot look whether this worker takes messages")  # and the thread must go on
            continue
        if reason is not None:
            _log_within(END_S, reason)
            end(STATUS)
            return


def _log_within(seconds: float, reason: str) -> None:
    """Log why the worker ends. A log that blocks, such as a full pipe, must not keep it from ending."""
    line = threading.Thread(
        target=lambda: log.error("this worker is deaf and ends", reason=reason, then="it must be started again"),
        daemon=True, name="last line",
    )  # fmt: skip
    line.start()
    line.join(seconds)
