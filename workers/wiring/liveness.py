"""Builds the liveness checks of processes, and the liveness reports of workers."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from workers.diagnostics import deaf_worker
from workers.diagnostics.deaf_worker import DeafWorkerWatch, Surroundings
from workers.diagnostics.liveness import FRESH, PATIENCE, LivenessCheck
from workers.diagnostics.worker_liveness import FRESH_S, PATIENCE_S, PING_S, WorkerLiveness
from workers.redis.connection import connect, translated
from workers.redis.drain import Drain, Draining
from workers.redis.heartbeats import Health, ProcessNote
from workers.redis.keys import Keys
from workers.settings.settings import Settings
from workers.wiring.clock import clock_of
from workers.wiring.wiring import Wiring


def liveness_check(wiring: Wiring, name: str, fresh: float = FRESH, patience: float = PATIENCE) -> LivenessCheck:
    """A liveness check of the processes with this name."""
    return LivenessCheck(wiring.health, wiring.publisher, name, fresh, patience)


def deaf_worker_watch(wiring: Wiring, queues: Iterable[str]) -> DeafWorkerWatch:
    """Watches the worker of these queues in this process. ``wiring``: its own, not shared with the pool."""
    from workers.broker import consumer  # noqa: PLC0415 -- Celery's worker, which health checks do without

    names = tuple(queues)
    consumer.activity.turned_at = time.monotonic()
    around = Surroundings(
        consumer.busy, consumer.stopping, _reach(wiring), lambda: wiring.publisher.ready(names)
    )  # fmt: skip
    return DeafWorkerWatch(consumer.activity, around, pace=deaf_worker.PACE)


def worker_liveness(
    wiring: Wiring, queues: Iterable[str], fresh: float = FRESH_S, patience: float = PATIENCE_S,
    deaf: Callable[[], bool] = lambda: False,
) -> WorkerLiveness:  # fmt: skip
    """Reports the liveness of the worker of these queues. ``wiring``: its own, not shared with the pool.

    ``deaf``: see ``WorkerLiveness``.
    """
    return WorkerLiveness(
        {queue: partial(liveness_check, wiring, queue, fresh, patience) for queue in queues},
        wiring.liveness, _reach(wiring), deaf,
    )  # fmt: skip


def _reach(wiring: Wiring) -> list[Callable[[], object]]:
    """Functions that raise ``Transient`` if Redis, or the broker, does not answer in a few seconds."""
    ping = connect(wiring.settings.redis_url, wiring.settings.key_prefix, patience_s=PING_S, tries=1).ping

    def redis() -> object:
        with translated():
            return ping()

    return [redis, wiring.publisher.reach]


def ages_at(settings: Settings, redis_url: str) -> Mapping[str, float]:
    """Seconds since the last heartbeats in this Redis, by name. Raises ``StoreUnavailable``."""
    return health_at(settings, redis_url).ages()


def offsets_at(settings: Settings, redis_url: str) -> list[tuple[str, float]]:
    """The clocks of processes and that of this host: where, and how many seconds ahead of this Redis.

    Raises ``StoreUnavailable``.
    """
    health = health_at(settings, redis_url)
    own = f"this host ({socket.gethostname()})", time.time() - health.now()
    return [own, *(note.clock for note in health.processes())]


def upgrades_at(settings: Settings, redis_url: str) -> tuple[Draining | None, list[ProcessNote]]:
    """The drain in force in this Redis, and the processes that send heartbeats. Raises ``StoreUnavailable``."""
    client, keys = connect(redis_url, settings.key_prefix), Keys(settings.key_prefix)
    return Drain(client, keys).read(), health_at(settings, redis_url).processes()


def health_at(settings: Settings, redis_url: str) -> Health:
    """The heartbeats in this Redis."""
    client = connect(redis_url, settings.key_prefix)
    return Health(client, Keys(settings.key_prefix), clock_of(redis_url, settings.key_prefix))
