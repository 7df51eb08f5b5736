"""The process that consumes the output of MinIO's Redis target."""

from __future__ import annotations

from workers.processes.logs import configure
from workers.processes.loops import Periodic, run_steps, running
from workers.settings.settings import Settings
from workers.wiring.events import redis_target
from workers.wiring.wiring import Wiring

REST_S = 0.2  # between two looks at an empty list
HASH_EVERY_S = 5.0  # seconds between two reads of the whole hash


def run_redis_target(settings: Settings) -> None:
    """Consume the events that MinIO's Redis target writes."""
    configure(settings, "redis-target")
    wiring = Wiring(settings)
    target = redis_target(wiring)
    rest = REST_S if settings.redis_target_format == "access" else HASH_EVERY_S
    beating = Periodic(1.0, lambda: wiring.health.beat("redis-target"))
    with running(wiring, "redis-target", encodes=False) as stop:

        def take() -> None:
            if not target.step():
                stop.wait(rest)

        run_steps(stop, wiring.outage_tracker, take, beating)
