"""Shared by the processes that sweep a bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import structlog

from vectordb.errors import Transient
from workers.dispatch.requested_sweeps import RequestedSweeps
from workers.dispatch.sweeper import Sweeper
from workers.events.sources import Sources
from workers.processes.loops import Periodic

log = structlog.get_logger()

SWEEP_STEP_S = 0.5  # maximum time that one step of a sweep may delay other work of the process
SWEEP_REST_S = 3.0  # minimum pause between two sweeps


def sweep_step(
    sweeper: Sweeper, sources: Sources, requested: RequestedSweeps | None = None
) -> Callable[[], bool]:  # fmt: skip
    """A function that takes one step of a pass and returns whether the pass has ended.

    ``requested``: is told of the end of a pass.
    """

    def sweep() -> bool:
        if not sweeper.step(SWEEP_STEP_S):
            return False
        if requested is not None:
            requested.ended()
        found = sweeper.progress
        sources.note("sweep", "working")
        if found.sent or found.gone:
            log.info("swept", seen=found.seen, sent=found.sent, gone=found.gone)
        return True

    return sweep


def restarting(sweeper: Sweeper, sweeping: Periodic) -> Callable[[], None]:
    """A function that begins a new pass at once, to be called after a loss of all keys of Redis."""

    def restart() -> None:
        sweeper.restart()
        sweeping.hasten(0.0)

    return restart


@contextmanager
def let_go(sweeper: Sweeper | RequestedSweeps) -> Iterator[None]:
    """Release the sweeper's lock at the end of the block, so that the next process can sweep at once."""
    try:
        yield
    finally:
        with suppress(Transient):  # then the lock expires
            sweeper.release()
