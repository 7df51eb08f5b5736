"""Waits in the event loop for a service that is unavailable."""

from __future__ import annotations

import time

import anyio.to_thread

from vectordb.errors import Transient
from workers.outages.tracker import OutageTracker

REST_S = 1.0
ANSWERS_S = 0.1  # pause if the service answers but the call still failed


async def outlast(
    outage_tracker: OutageTracker, fault: Transient, limiter: anyio.CapacityLimiter | None = None
) -> str | None:
    """Wait one second, or until the service of the fault is back. Returns the service's name, if any."""

    def wait() -> str | None:
        name = outage_tracker.register(fault)
        if name is None:
            time.sleep(ANSWERS_S)
        else:
            outage_tracker.wait_to_retry(name, REST_S)
        return name

    return await anyio.to_thread.run_sync(wait, abandon_on_cancel=True, limiter=limiter)
