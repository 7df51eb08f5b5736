"""Whether a Celery worker consumes its queues, said by itself: the resident twin of ``wildtag alive``.

Celery's own loop takes the looks (``look``): at the beats, which the pool's processes give when they have done
something, and where those are old by asking through the queue. So a worker that is connected and consumes nothing, a
pool that is stuck, and a loop that does not turn all end in silence.

While Redis is away Celery's loop does not turn either, and that is not the worker's fault. Only for that case there
is a thread (``watch``): it gives a sign when the loop has stopped *and* Redis does not answer. It starts after the
pool was forked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from celery import Celery, bootsteps

from vectordb.errors import Transient
from workers.diagnostics.liveness import LivenessCheck, State
from workers.redis.connection import translated
from workers.supervision.liveness_files import LivenessFiles

log = structlog.get_logger()

FRESH_S = 30.0  # a beat that is so recent will do
PATIENCE_S = 60.0  # that a silent worker has to answer
LOOK_EVERY_S = 5.0
STOPPED_S = 3 * LOOK_EVERY_S  # without a look, after which Celery's loop is taken to have stopped
PING_S = 2.0  # that Redis has to answer


class WorkerLiveness:
    """Signs of life of the queues that one worker consumes. For the process that Celery's loop runs in."""

    def __init__(
        self,
        checks: Mapping[str, Callable[[], LivenessCheck]],
        files: LivenessFiles,
        reach: Sequence[Callable[[], object]],
    ) -> None:
        """``checks``: by queue, makes a check of its consumers. ``files``: where the signs are given.

        ``reach``: raise ``Transient`` where Redis or the broker does not answer. All adapters are of its own, not the
        pool's.
        """
        self._files = files
        self._reach = reach
        self._checks = checks
        self._pulses = {queue: check() for queue, check in checks.items()}
        self._looked = time.monotonic()

    def look(self) -> None:
        """Give a sign for every queue that somebody consumes, or that cannot be asked after."""
        self._looked = time.monotonic()
        for queue, pulse in self._pulses.items():
            try:
                state = pulse.state()
            except Transient:
                state = State.AT_WORK  # as far as anybody can know
            if state is State.AT_WORK:
                self._files.touch(queue)
            elif state is State.SILENT:
                self._pulses[queue] = self._checks[queue]()  # ask again: it may have come to itself

    def watch(self) -> None:
        """One turn of the thread: a sign where the loop has stopped since Redis is away."""
        if time.monotonic() - self._looked > STOPPED_S and not self._reached():
            for queue in self._pulses:
                self._files.touch(queue)

    def watching(self) -> None:
        """The thread, until the process ends."""
        while True:
            time.sleep(LOOK_EVERY_S)
            self.watch()

    def _reached(self) -> bool:
        try:
            for call in self._reach:
                with translated():
                    call()
        except Transient:
            return False
        except Exception as exc:  # it answered, whatever that was: the thread must go on
            log.warning("asking for Redis and the broker", reason=f"{type(exc).__name__}: {exc}")
        return True


def keep(app: Celery, liveness: WorkerLiveness) -> None:
    """Have the worker that is made of this app give its signs of life."""

    class Watch(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Pool",)

        def start(self, _: Any) -> None:
            threading.Thread(target=liveness.watching, daemon=True, name="liveness").start()

    class Look(bootsteps.StartStopStep):
        requires = ("celery.worker.consumer.tasks:Tasks",)

        def __init__(self, consumer: Any, **options: Any) -> None:
            super().__init__(consumer, **options)
            self._timer: Any = None

        def start(self, consumer: Any) -> None:
            # after every new connection: the timers of the one before are gone
            self._timer = consumer.timer.call_repeatedly(LOOK_EVERY_S, liveness.look)

        def stop(self, _: Any) -> None:
            if self._timer is not None:
                self._timer.cancel()

    app.steps["worker"].add(Watch)
    app.steps["consumer"].add(Look)
