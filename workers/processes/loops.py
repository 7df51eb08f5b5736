"""What the loops of long-running processes share: stopping, pausing, and waiting for what is away."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from vectordb.errors import Transient
from workers.outages.tracker import OutageTracker
from workers.supervision.liveness_files import LivenessFiles

log = structlog.get_logger()

RECOVER_EVERY_S = 30.0  # between two looks at what a consumer that ended has left
RECOVER_IDLE_MS = 30_000
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0  # after a fault that names no service: whoever waits for more waits too long when it is over
HELD_S = 0.5  # seconds that a loop rests while what its first turn needs is away


class Periodic:
    """Calls something when it was last called at least ``seconds`` ago; the first time at once.

    A call that gives ``False`` is not at its end: it is due again at once.
    """

    def __init__(self, seconds: float, call: Callable[[], object]) -> None:
        self._seconds = seconds
        self._call = call
        self._called = 0.0
        self._due = 0.0

    def __call__(self) -> None:
        """Call it if it is due. When it raises, it is due again in a second."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + 1
            ended = self._call() is not False
            self._called = time.monotonic()
            self._due = self._called + (self._seconds if ended else 0.0)

    def hasten(self, rest: float) -> None:
        """Make it due as soon as ``rest`` seconds have passed since it was last called."""
        self._due = min(self._due, self._called + rest)


class Once:
    """Calls something until it has come to its end, and then no more."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._ended = False

    def __call__(self) -> None:
        """Call it, unless it has come to its end."""
        if not self._ended:
            self._call()
            self._ended = True


class Stop(threading.Event):
    """Set when a process is to end. ``sign``: says, to whoever looks after the process, that its loop goes round."""

    def __init__(self, sign: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self.sign = Periodic(1.0, sign)


@contextmanager
def until_stopped(sign: Callable[[], object] = lambda: None) -> Iterator[Stop]:
    """An event that SIGTERM and SIGINT set."""
    stop = Stop(sign)
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    yield stop


def alive(files: LivenessFiles, name: str) -> Callable[[], object]:
    """Gives the sign of life of a process, for its loop while that waits; takes back its predecessor's."""
    files.begin(name)
    return lambda: files.touch(name)


class Step:
    """A call that is left out while what it needs is away. Faults that name no service are tried again soon."""

    def __init__(self, call: Callable[[], object], outage_tracker: OutageTracker) -> None:
        self._call = call
        self._outage_tracker = outage_tracker
        self._service: str | None = None
        self._pause = 0.0
        self._due = 0.0

    def __call__(self) -> bool:
        """Take it, unless it is held up; whether it came to its end."""
        now = time.monotonic()
        if now < self._due or (
            self._service is not None and self._outage_tracker.is_active(self._service, probed=True)
        ):
            return False
        try:
            self._call()
        except Transient as exc:
            self._service = self._outage_tracker.register(exc)
            if self._service is None and not self._pause:
                log.warning("waiting", reason=str(exc))
            self._pause = min(LONGEST_PAUSE_S, self._pause * 2 or FIRST_PAUSE_S)
            self._due = time.monotonic() + self._pause
            return False
        if self._service is not None:
            self._outage_tracker.end(self._service)  # where no probe sees it
        elif self._pause:
            log.info("going on")
        self._service, self._pause, self._due = None, 0.0, 0.0
        return True

    def rest(self, stop: threading.Event, longest: float = HELD_S) -> None:
        """Wait until it may be taken again, for ``longest`` seconds at the most."""
        if self._service is not None and self._outage_tracker.is_active(self._service, probed=True):
            self._outage_tracker.wait(self._service, longest)
            self._due = 0.0
        else:
            stop.wait(min(longest, max(0.0, self._due - time.monotonic())))


def run_steps(
    stop: Stop, outage_tracker: OutageTracker, first: Callable[[], object], *others: Callable[[], object]
) -> None:
    """Take turns until ``stop``. ``first`` is the work, and rests by itself when there is none.

    A turn whose service is away does not keep the others from theirs.
    """
    work, rest = Step(first, outage_tracker), [Step(call, outage_tracker) for call in others]
    while not stop.is_set():
        stop.sign()  # also while a service is away, which is no fault of this process
        ended = work()
        for turn in rest:
            turn()
        if not ended:
            work.rest(stop)


def retrying(stop: Stop, call: Callable[[], object], outage_tracker: OutageTracker) -> None:
    """Repeat a call until it meets no transient fault."""
    turn = Step(call, outage_tracker)
    while not stop.is_set() and not turn():
        stop.sign()
        turn.rest(stop)
