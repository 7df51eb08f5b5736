"""What the loops of long-running processes share: stopping, pausing, and waiting for what is away."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from vectordb.errors import Transient

log = structlog.get_logger()


class Every:
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


class Stop(threading.Event):
    """Set when a process is to end. ``waiting`` is called by the loop while it waits for what is away."""

    def __init__(self, waiting: Callable[[], object]) -> None:
        super().__init__()
        self.waiting = waiting


@contextmanager
def until_stopped(waiting: Callable[[], object] = lambda: None) -> Iterator[Stop]:
    """An event that SIGTERM and SIGINT set."""
    stop = Stop(waiting)
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    yield stop


def retrying(stop: threading.Event, call: Callable[[], object]) -> None:
    """Repeat a call until it meets no transient fault; a fault is logged once, and again when it is over."""
    pause = 0.1
    while not stop.is_set():
        try:
            call()
        except Transient as exc:
            if pause < 0.2:
                log.warning("waiting", reason=str(exc))
            if isinstance(stop, Stop):
                stop.waiting()
            stop.wait(pause)
            pause = min(5.0, pause * 2)
        else:
            if pause >= 0.2:
                log.info("going on")
            return
