"""The process of a Celery worker."""

from __future__ import annotations

import logging
from functools import cache

from workers.diagnostics.worker_liveness import keep
from workers.processes.logs import OnceAMinute, configure
from workers.settings.settings import Settings
from workers.stages.registration import register
from workers.wiring.liveness import worker_liveness
from workers.wiring.stages import stage_worker
from workers.wiring.wiring import Wiring


def run_worker(settings: Settings, queues: list[str], concurrency: int) -> None:
    """A Celery worker for some queues, in prefork mode: what a child loads, it loads after the fork."""
    configure()
    # while the broker is away Celery says so at every try to reach it
    logging.getLogger("celery.worker.consumer.consumer").addFilter(OnceAMinute())
    app = Wiring(settings).app
    if settings.liveness_folder is not None:  # else the supervisor asks
        own = Wiring(settings)
        own.liveness.begin(*queues)
        keep(app, worker_liveness(own, queues))
    register(app, cache(lambda: stage_worker(Wiring(settings))))
    app.worker_main([
        "worker", "--queues", ",".join(queues), "--hostname", f"{'-'.join(queues)}@%h",
        "--pool", "prefork", "--concurrency", str(concurrency), "--loglevel", "INFO",
        "--task-events", "--without-gossip", "--without-mingle",
    ])  # fmt: skip
