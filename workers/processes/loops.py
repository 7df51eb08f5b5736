"""The loops of long-running processes: stopping, pausing, and waiting during outages."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import structlog

from vectordb.errors import Transient
from workers.outages.tracker import OutageTracker
from workers.processes.measuring import measure_process
from workers.supervision.liveness_files import LivenessFiles
from workers.wiring.encoder_in_use import require_in_use
from workers.wiring.wiring import Wiring

log = structlog.get_logger()

RECOVER_EVERY_S = 30.0  # between two checks for entries that a consumer left when it ended
RECOVER_IDLE_MS = 30_000
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0  # maximum pause after a fault without a service, whose end no probe reports
LOOK_EVERY_S = 0.5  # between two looks whether Redis has lost its data
HELD_S = 0.5  # pause of a loop during an outage that its first step waits for


class Periodic:
    """Calls a function at most every ``seconds``, and the first time immediately.

    A call that returns ``False`` has not finished: it is due again immediately.
    """

    def __init__(self, seconds: float, call: Callable[[], object]) -> None:
        self._seconds = seconds
        self._call = call
        self._called = 0.0
        self._due = 0.0

    def __call__(self) -> None:
        """Call the function if it is due. If it raises, it is due again in one second."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + 1
            ended = self._call() is not False
            self._called = time.monotonic()
            self._due = self._called + (self._seconds if ended else 0.0)

    def hasten(self, rest: float) -> None:
        """Make it due once ``rest`` seconds have passed since the last call."""
        self._due = min(self._due, self._called + rest)


class Once:
    """Calls a function until it has succeeded once."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._ended = False

    def __call__(self) -> None:
        """Call the function, unless it has succeeded before."""
        if not self._ended:
            self._call()
            self._ended = True


class Stop(threading.Event):
    """Set when the process must end. ``sign``: reports that its loop is running, for health checks."""

    def __init__(self, sign: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        # reentrant: a signal handler sets it in the main thread, which may be within ``wait`` and have the lock
        self._cond = threading.Condition(threading.RLock())
        self._alive = Periodic(1.0, sign)
        self.look: Callable[[], object] = lambda: None

    def sign(self) -> None:
        """Show that the loop is running, and look whether Redis has lost its data."""
        self._alive()
        self.look()

    def look_for_loss(self, look: Callable[[], object], outage_tracker: OutageTracker) -> None:
        """Call ``look`` with each sign, at most every ``LOOK_EVERY_S`` seconds."""
        self.look = Step(Periodic(LOOK_EVERY_S, look), outage_tracker)


@contextmanager
def until_stopped(sign: Callable[[], object] = lambda: None) -> Iterator[Stop]:
    """An event that SIGTERM and SIGINT set. ``sign``: see ``Stop``."""
    stop = Stop(sign)
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    yield stop


def alive(files: LivenessFiles, name: str) -> Callable[[], object]:
    """Reset the liveness file of a process, and return the function that touches it."""
    files.begin(name)
    return lambda: files.touch(name)


@contextmanager
def running(wiring: Wiring, name: str, *, encodes: bool = True) -> Iterator[Stop]:
    """Run a process: enters the block once the layout of the Redis keys is known to be current.

    Yields the event that stops the process, see ``until_stopped``; it may be set already. Raises ``OtherLayout``, and
    ``Permanent`` if its metrics cannot be served, and ``EncoderChanged`` when another encoder than that of the
    settings is put into use: the process is started again. ``encodes``: whether it has to do with an encoder;
    otherwise a change of it is none of its business.

    With each ``sign`` it looks whether Redis has lost its data: ``wiring.data_loss`` calls what is to be done then.
    """
    measure_process(wiring.settings)
    with until_stopped(alive(wiring.liveness, name)) as stop:
        retrying(stop, wiring.layout.require, wiring.outage_tracker)
        retrying(stop, wiring.data_loss.step, wiring.outage_tracker)

        def look() -> None:
            wiring.data_loss.step()
            if encodes:
                require_in_use(wiring)

        retrying(stop, look, wiring.outage_tracker)
        stop.look_for_loss(look, wiring.outage_tracker)
        try:
            yield stop
        finally:
            retire(wiring, name)


def retire(wiring: Wiring, *names: str) -> None:
    """Say that this process has stopped on purpose, so that nobody waits for its heartbeats."""
    with suppress(Transient):
        wiring.health.retire(*names)


class Step:
    """A call that is skipped during an outage of a service that it needs. Other transient faults are retried soon."""

    def __init__(self, call: Callable[[], object], outage_tracker: OutageTracker) -> None:
        self._call = call
        self._outage_tracker = outage_tracker
        self._service: str | None = None
        self._pause = 0.0
        self._due = 0.0

    def __call__(self) -> bool:
        """Make the call, unless it is held back. Returns whether it succeeded."""
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
            self._outage_tracker.end(self._service)  # if no probe reports its end
        elif self._pause:
            log.info("going on")
        self._service, self._pause, self._due = None, 0.0, 0.0
        return True

    def rest(self, stop: threading.Event, longest: float = HELD_S) -> None:
        """Wait until the call may be made again, for at most ``longest`` seconds."""
        if self._service is not None and self._outage_tracker.is_active(self._service, probed=True):
            self._outage_tracker.wait(self._service, longest)
            self._due = 0.0
        else:
            stop.wait(min(longest, max(0.0, self._due - time.monotonic())))


def run_steps(
    stop: Stop, outage_tracker: OutageTracker, first: Callable[[], object], *others: Callable[[], object]
) -> None:
    """Make all calls in turn until ``stop``. ``first`` is the work and must block by itself while there is none.

    An outage that holds back one call does not hold back the others.
    """
    work, rest = Step(first, outage_tracker), [Step(call, outage_tracker) for call in others]
    while not stop.is_set():
        stop.sign()  # also during outages, which are not faults of this process
        ended = work()
        for call in rest:
            call()
        if not ended:
            work.rest(stop)


def retrying(stop: Stop, call: Callable[[], object], outage_tracker: OutageTracker) -> None:
    """Repeat a call until it succeeds or ``stop`` is set. Only transient faults are retried."""
    step = Step(call, outage_tracker)
    while not stop.is_set() and not step():
        stop.sign()
        step.rest(stop)
