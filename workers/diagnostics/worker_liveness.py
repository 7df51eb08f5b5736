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
from collections.abc import Iterable
from typing import Any

import structlog
from celery import Celery, bootsteps

from vectordb.errors import Transient
from workers.diagnostics.liveness import LivenessCheck, State
from workers.redis.connection import connect, translated
from workers.wiring.wiring import Wiring

log = structlog.get_logger()

FRESH_S = 30.0  # maximum age of a heartbeat
PATIENCE_S = 60.0  # time that a silent worker has to answer a probe
CHECK_EVERY_S = 5.0
STOPPED_S = 3 * CHECK_EVERY_S  # without a check, after which Celery's loop counts as stopped
PING_S = 2.0  # time that Redis has to answer


class WorkerLiveness:
    """Liveness of the queues that one worker consumes. For the process that runs Celery's event loop."""

    def __init__(
        self, wiring: Wiring, queues: Iterable[str], fresh: float = FRESH_S, patience: float = PATIENCE_S
    ) -> None:
        """``wiring`` must not be shared with the pool."""
        self._wiring = wiring
        self._fresh = fresh
        self._patience = patience
        self._client = connect(wiring.settings.redis_url, patience_s=PING_S, tries=1)
        self._checks = {queue: self._new_check(queue) for queue in queues}
        self._checked_at = time.monotonic()

    def check(self) -> None:
        """Touch the file of every queue that is consumed, or whose state cannot be determined."""
        self._checked_at = time.monotonic()
        for queue, liveness_check in self._checks.items():
            try:
                state = liveness_check.state()
            except Transient:
                state = State.ALIVE  # cannot be determined
            if state is State.ALIVE:
                self._wiring.liveness.touch(queue)
            elif state is State.SILENT:
                self._checks[queue] = self._new_check(queue)  # probe again: it may have recovered

    def watch(self) -> None:
        """One step of the thread: touch the files if the loop has stopped because Redis is unavailable."""
        if time.monotonic() - self._checked_at > STOPPED_S and not self._reached():
            for queue in self._checks:
                self._wiring.liveness.touch(queue)

    def watching(self) -> None:
        """The body of the thread. Does not return."""
        while True:
            time.sleep(CHECK_EVERY_S)
            self.watch()

    def _reached(self) -> bool:
        try:
            for call in (self._client.ping, self._wiring.publisher.reach):
                with translated():
                    call()
        except Transient:
            return False
        except Exception as exc:  # it answered, although with an error: the thread must keep running
            log.warning("unexpected answer of Redis or the broker", reason=f"{type(exc).__name__}: {exc}")
        return True

    def _new_check(self, queue: str) -> LivenessCheck:
        return LivenessCheck(self._wiring, queue, self._fresh, self._patience)


def keep(app: Celery, liveness: WorkerLiveness) -> None:
    """Make the worker of this app maintain its liveness files."""

    class WatchStep(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Pool",)

        def start(self, _: Any) -> None:
            threading.Thread(target=liveness.watching, daemon=True, name="liveness").start()

    class CheckStep(bootsteps.StartStopStep):
        requires = ("celery.worker.consumer.tasks:Tasks",)

        def __init__(self, consumer: Any, **options: Any) -> None:
            super().__init__(consumer, **options)
            self._timer: Any = None

        def start(self, consumer: Any) -> None:
            # called for every new connection, which starts without timers
            self._timer = consumer.timer.call_repeatedly(CHECK_EVERY_S, liveness.check)

        def stop(self, _: Any) -> None:
            if self._timer is not None:
                self._timer.cancel()

    app.steps["worker"].add(WatchStep)
    app.steps["consumer"].add(CheckStep)
