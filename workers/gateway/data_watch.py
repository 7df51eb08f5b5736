"""Looks whether Redis has lost its data while the gateway runs, see ``workers.redis.data_loss``."""

from __future__ import annotations

import asyncio

import anyio.to_thread
import structlog

from vectordb.errors import Permanent, Transient
from workers.outages.tracker import OutageTracker
from workers.redis.data_loss import DataLoss

log = structlog.get_logger()

EVERY_S = 0.5
AGAIN_S = 60.0  # after keys of another layout were found


async def looking(data_loss: DataLoss, outage_tracker: OutageTracker) -> None:
    """Look again and again, until cancelled."""
    while True:
        pause = EVERY_S
        try:
            await anyio.to_thread.run_sync(data_loss.step, abandon_on_cancel=True)
        except Transient as exc:
            outage_tracker.register(exc)
        except Permanent as exc:
            log.error("keys of another layout", reason=str(exc))  # noqa: TRY400 -- the reason says all
            pause = AGAIN_S
        await asyncio.sleep(pause)
