"""Liveness files of a Celery worker, written by the worker itself; ``wildtag alive`` checks the same from outside.

Celery's event loop calls ``check`` at intervals. It reads the heartbeats, which the pool's processes send when they
finish something, and sends a probe through the queue when they are old. So the files go stale if the worker is
connected but consumes nothing, if its pool is stuck, or if its event loop has stopped.

Celery's loop also stops while Redis is unavailable, which is not a fault of the worker. Only for that case there is a
thread (``watch``): it touches the files if the loop has stopped *and* Redis does not answer. It starts after the pool
was forked.
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

FRESH_S = 30.0  # maximum age of a heartbeat
PATIENCE_S = 60.0  # time that a silent worker has to answer a probe
CHECK_EVERY_S = 5.0
STOPPED_S = 3 * CHECK_EVERY_S  # without a check, after which Celery's loop counts as stopped
PING_S = 2.0  # time that Redis has to answer


class WorkerLiveness:
    """Liveness of the queues that one worker consumes. For the process that runs Celery's event loop."""

    def __init__(
        self,
        checks: Mapping[str, Callable[[], LivenessCheck]],
        files: LivenessFiles,
        reach: Sequence[Callable[[], object]],
        deaf: Callable[[], bool] = lambda: False,
    ) -> None:
        """``checks``: by queue, creates a check of its consumers. ``files``: the files to touch.

        ``reach``: functions that raise ``Transient`` if Redis or the broker does not answer. No adapter is shared
        with the pool. ``deaf``: whether this worker seems to take no messages although there are some; then the
        heartbeats of its queues are those of other workers.
        """
        self._deaf = deaf
        self._files = files
        self._reach = reach
        self._checks = checks
        self._current = {queue: check() for queue, check in checks.items()}
        self._checked_at = time.monotonic()

    def check(self) -> None:
        """Touch the file of every queue that is consumed, or whose state cannot be determined."""
        self._checked_at = time.monotonic()
        for queue, current in self._current.items():
            try:
                state = current.state()
            except Transient:
                state = State.ALIVE  # cannot be determined
            if state is State.ALIVE and not self._deaf():
                self._files.touch(queue)
            elif state is State.SILENT:
                self._current[queue] = self._checks[queue]()  # probe again: it may have recovered

    def watch(self) -> None:
        """One step of the thread: touch the files if the loop has stopped because Redis is unavailable."""
        if time.monotonic() - self._checked_at > STOPPED_S and not self._reached():
            for queue in self._current:
                self._files.touch(queue)

    def watching(self) -> None:
        """The body of the thread. Does not return."""
        while True:
            time.sleep(CHECK_EVERY_S)
            self.watch()

    def _reached(self) -> bool:
        try:
            for call in self._reach:
                with translated():
                    call()
        except Transient:
            return False
        except Exception as exc:  # it answered, although with an error: the thread must keep running
            log.warning("unexpected answer of Redis or the broker", reason=f"{type(exc).__name__}: {exc}")
        return True


def keep(app: Celery, liveness: WorkerLiveness) -> None:
    """Make the worker of this app maintain its liveness files."""
    in_thread(app, liveness.watching, "liveness")
    in_loop(app, liveness.check, "liveness")


def in_thread(app: Celery, body: Callable[[], object], name: str) -> None:
    """Make the worker of this app run ``body`` in a daemon thread, which starts after the pool was forked."""

    class ThreadStep(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Pool",)

        def start(self, _: Any) -> None:
            threading.Thread(target=body, daemon=True, name=name).start()

    ThreadStep.name = f"wildtag.{name}"
    app.steps["worker"].add(ThreadStep)


def in_loop(app: Celery, call: Callable[[], object], name: str) -> None:
    """Make the event loop of the worker of this app call this at intervals (``CHECK_EVERY_S``)."""

    class LoopStep(bootsteps.StartStopStep):
        requires = ("celery.worker.consumer.tasks:Tasks",)

        def __init__(self, consumer: Any, **options: Any) -> None:
            super().__init__(consumer, **options)
            self._timer: Any = None

        def start(self, consumer: Any) -> None:
            # called for every new connection, which starts without timers
            self._timer = consumer.timer.call_repeatedly(CHECK_EVERY_S, call)

        def stop(self, _: Any) -> None:
            if self._timer is not None:
                self._timer.cancel()

    LoopStep.name = f"wildtag.{name}"  # of two steps with one name Celery keeps one
    app.steps["consumer"].add(LoopStep)
