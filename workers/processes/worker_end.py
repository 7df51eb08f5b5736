"""Ends a worker whose encoder does not prepare any more, also while it gets no task."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from typing import Any

import structlog
from celery import Celery, bootsteps

from vectordb.errors import Transient
from workers.redis.encoders import EncoderChanged
from workers.wiring.wiring import Wiring

log = structlog.get_logger()

LOOK_EVERY_S = 1.0


def end_after(app: Celery, wiring: Wiring, space: str) -> None:
    """End the worker of this app, as SIGTERM does, when the encoder of this space does not prepare any more.

    ``wiring``: its own, not shared with the pool.
    """

    def watch() -> None:
        while True:
            time.sleep(LOOK_EVERY_S)
            try:
                with suppress(Transient):
                    wiring.encoders.require_preparing(space)
            except EncoderChanged as exc:
                log.info("this worker ends", reason=str(exc))
                os.kill(os.getpid(), signal.SIGTERM)
                return

    class WatchStep(bootsteps.StartStopStep):  # its thread starts after the pool was forked
        requires = ("celery.worker.components:Pool",)

        def start(self, _: Any) -> None:
            threading.Thread(target=watch, daemon=True, name="encoder").start()

    app.steps["worker"].add(WatchStep)
