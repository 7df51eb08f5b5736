"""Builds the liveness checks of processes, and the liveness reports of workers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from functools import partial

from workers.diagnostics.liveness import FRESH, PATIENCE, LivenessCheck
from workers.diagnostics.worker_liveness import FRESH_S, PATIENCE_S, PING_S, WorkerLiveness
from workers.redis.connection import connect
from workers.redis.heartbeats import Health
from workers.redis.keys import Keys
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring


def liveness_check(wiring: Wiring, name: str, fresh: float = FRESH, patience: float = PATIENCE) -> LivenessCheck:
    """A liveness check of the processes with this name."""
    return LivenessCheck(wiring.health, wiring.publisher, name, fresh, patience)


def worker_liveness(
    wiring: Wiring, queues: Iterable[str], fresh: float = FRESH_S, patience: float = PATIENCE_S
) -> WorkerLiveness:
    """Reports the liveness of the worker of these queues. ``wiring``: its own, not shared with the pool."""
    ping = connect(wiring.settings.redis_url, wiring.settings.key_prefix, patience_s=PING_S, tries=1).ping
    return WorkerLiveness(
        {queue: partial(liveness_check, wiring, queue, fresh, patience) for queue in queues},
        wiring.liveness, [ping, wiring.publisher.reach],
    )  # fmt: skip


def beats_at(settings: Settings, redis_url: str) -> Mapping[str, float]:
    """The last heartbeats in this Redis: name to Unix seconds. Raises ``StoreUnavailable``."""
    return Health(connect(redis_url, settings.key_prefix), Keys(settings.key_prefix), time.time).beats()
