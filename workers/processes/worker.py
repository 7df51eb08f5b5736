"""The process of a Celery worker."""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections.abc import Callable
from functools import cache

from celery import Celery

from workers.broker.celery_commands import import_commands
from workers.broker.consumer import turned
from workers.diagnostics.deaf_worker import watching
from workers.diagnostics.worker_liveness import in_loop, in_thread, keep
from workers.outages.tracker import OutageTracker
from workers.processes.crashes import watched
from workers.processes.logs import configure
from workers.processes.loops import retire, retrying, until_stopped
from workers.processes.measuring import measure_process
from workers.processes.worker_end import end_after
from workers.settings.settings import Settings
from workers.stages.current_worker import CurrentWorker
from workers.stages.registration import register
from workers.stages.worker import StageWorker
from workers.telemetry.library_lines import OnceAMinute
from workers.wiring.encoder_in_use import in_use
from workers.wiring.liveness import deaf_worker_watch, worker_liveness
from workers.wiring.stages import stage_worker
from workers.wiring.wiring import Wiring
from workers.wiring.worker_logging import connect_logging


def run_worker(
    settings: Settings, queues: list[str], concurrency: int, *, beside: bool = False, preparing: str | None = None
) -> None:
    """Run a Celery worker for some queues, in prefork mode. Models are loaded after the fork.

    ``beside``: others of the same queues may run on this machine, so that it needs a name of its own. ``preparing``:
    the space of an encoder that prepares; it ends when that does not prepare any more.
    """
    configure(settings, f"worker-{queues[0]}" if len(queues) == 1 else "worker")
    measure_process(settings)
    own = Wiring(settings)
    own.liveness.begin(*queues)

    def sign() -> None:
        for queue in queues:
            own.liveness.touch(queue)

    with until_stopped(sign) as stop:
        retrying(stop, own.layout.require, OutageTracker())
        own.redis.close()  # not shared with the pool
    if stop.is_set():
        return
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # until Celery sets its own
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # during an outage of the broker Celery logs every attempt to connect
    logging.getLogger("celery.worker.consumer.consumer").addFilter(OnceAMinute())
    app = Wiring(settings).app
    _watch(app, own, queues)

    service = own.service  # of this process, not of its children

    crashes = watched(app, settings)

    def made() -> tuple[StageWorker, Callable[[], object]]:
        wiring = Wiring(in_use(settings))
        wiring.service = service

        def close() -> None:
            wiring.images.close()
            wiring.indexes.close()

        return crashes.begin(stage_worker(wiring, crashes.journal())), close

    encoders = cache(lambda: Wiring(settings).encoders)  # with a connection of the child's own

    def look() -> str:
        found = encoders().look()
        if preparing is not None:
            encoders().require_preparing(preparing)
        return found

    current = CurrentWorker(made, look)
    register(app, current, own.clock, settings.time_limits)
    crashes.recover_with(current)
    if preparing is not None:
        end_after(app, own, preparing)
    # embedding workers of one machine differ in the number of their device
    number = [settings.device.replace(":", "-")] if ":" in settings.device else []
    number += [str(os.getpid())] if beside else []
    import_commands()
    connect_logging()
    try:
        app.worker_main([
            "--quiet", "worker", "--queues", ",".join(queues), "--hostname", f"{'-'.join([*queues, *number])}@%h",
            "--pool", "prefork", "--concurrency", str(concurrency),
            "--task-events", "--without-gossip", "--without-mingle",
        ])  # fmt: skip
    finally:
        crashes.close()
        retire(own, *queues)
        # the interpreter's last collection would visit everything that was imported: with five workers on two cores
        # it took a second of the time that a stopping stack has
        gc.freeze()


def _watch(app: Celery, own: Wiring, queues: list[str]) -> None:
    """End the worker if it takes no messages, and report its liveness. ``own``: not shared with the pool."""
    watch = deaf_worker_watch(own, queues)
    in_loop(app, turned, "turned")
    in_thread(app, lambda: watching(watch), "deaf-worker")
    if own.settings.liveness_folder is not None:  # otherwise the supervisor probes
        keep(app, worker_liveness(own, queues, deaf=lambda: watch.suspected))
