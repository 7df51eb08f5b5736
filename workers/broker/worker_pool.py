"""The pool of a Celery worker's processes, which says how each of them ended before the next one takes its place."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from billiard.pool import EX_OK, EX_RECYCLE
from celery.concurrency import prefork
from celery.concurrency.asynpool import AsynPool

Ended = Callable[[int, str], object]
"""Receives the place of a process in the pool, and how it ended."""


def watch_pool(ended: Ended) -> None:
    """Have the pools that are started from now on tell of processes that ended otherwise than by intent."""

    class WatchedPool(AsynPool):
        """Celery's."""

        def process_flush_queues(self, proc: Any) -> None:
            """See Celery: called with each process that has ended, before another one is started."""
            if proc.exitcode not in {EX_OK, EX_RECYCLE, None}:
                ended(proc.index, described(proc.exitcode))
            super().process_flush_queues(proc)

    prefork.TaskPool.Pool = WatchedPool


def described(status: int) -> str:
    """How a process ended, by the exit status that Python gives."""
    if status >= 0:
        return f"ended with the status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by the signal {-status}"
