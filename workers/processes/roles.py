"""What the processes that take the work on do. The supervisor, Compose and Kubernetes run the same commands."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from functools import cache

import structlog

from vectordb.errors import Permanent
from workers.broker.app import create_app
from workers.gateway.addresses import loopback
from workers.processes.logs import OnceAMinute, configure
from workers.processes.loops import Once, Periodic, retrying, run_steps, until_stopped
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring

log = structlog.get_logger()

KEEPER_EVERY = 1.0
RECOVER_EVERY = 30.0
RECOVER_IDLE_MS = 30_000


def run_worker(settings: Settings, queues: list[str], concurrency: int) -> None:
    """A Celery worker for some queues, in prefork mode: what a child loads, it loads after the fork."""
    from workers.diagnostics.worker_liveness import WorkerLiveness, keep  # noqa: PLC0415 -- as above
    from workers.stages.registration import register  # noqa: PLC0415 -- only a worker needs the stages
    from workers.stages.runner import Stages  # noqa: PLC0415 -- as above

    configure()
    # while the broker is away Celery says so at every try to reach it
    logging.getLogger("celery.worker.consumer.consumer").addFilter(OnceAMinute())
    app = create_app(settings)
    if settings.liveness_folder is not None:  # else the supervisor asks
        own = Wiring(settings)
        own.liveness.begin(*queues)
        keep(app, WorkerLiveness(own, queues))
    register(app, cache(lambda: Stages(Wiring(settings))))
    app.worker_main([
        "worker", "--queues", ",".join(queues), "--hostname", f"{'-'.join(queues)}@%h",
        "--pool", "prefork", "--concurrency", str(concurrency), "--loglevel", "INFO",
        "--task-events", "--without-gossip", "--without-mingle",
    ])  # fmt: skip


def alive(wiring: Wiring, name: str) -> Callable[[], object]:
    """Gives the sign of life of a process, for its loop while that waits; takes back its predecessor's."""
    wiring.liveness.begin(name)
    return lambda: wiring.liveness.touch(name)


def run_dispatcher(settings: Settings) -> None:
    """Events to batches; and the keeper beside it."""
    configure()
    wiring = Wiring(settings)
    consumer = f"{socket.gethostname()}-{os.getpid()}"
    dispatcher, keeper = wiring.dispatcher(consumer), wiring.keeper()
    keeping = Periodic(KEEPER_EVERY, keeper.step)
    recovering = Periodic(RECOVER_EVERY, lambda: dispatcher.recover(RECOVER_IDLE_MS))
    beating = Periodic(1.0, lambda: wiring.health.beat("dispatcher"))
    with until_stopped(alive(wiring, "dispatcher")) as stop:
        for prepare in (wiring.inbox.prepare, wiring.later.prepare):
            retrying(stop, prepare, wiring.outage_tracker)
        # a predecessor's leftovers: there is one dispatcher a home
        leftovers = Once(lambda: dispatcher.recover(0))
        run_steps(
            stop,
            wiring.outage_tracker,
            lambda: dispatcher.step(block_ms=500),
            leftovers,
            keeping,
            recovering,
            beating,
        )


def run_gateway(settings: Settings) -> None:
    """Take in images and events over HTTP, and say what became of them."""
    from workers.gateway.app import create_app as gateway_app  # noqa: PLC0415 -- only the gateway needs a web server
    from workers.gateway.serving import serve  # noqa: PLC0415 -- as above
    from workers.wiring.gateway import options, services  # noqa: PLC0415 -- as above

    configure()
    wiring = Wiring(settings)
    chosen = options(wiring)
    host, port = settings.gateway_host, settings.gateway_port
    log.info("gateway", host=host, port=port, bucket=settings.bucket, open=chosen.open)
    serve(gateway_app(services(wiring), chosen), host, port)


def run_flower(settings: Settings, port: int, address: str = "127.0.0.1") -> None:
    """Flower: on the loopback address, or on another one for those who know its user and password.

    Whoever reaches Flower can stop workers. Raises ``Permanent`` when it would be open to other machines.
    """
    if not settings.flower_auth and not loopback(address):
        raise Permanent(f"Flower listens on {address} only for those it knows: set WILDTAG_FLOWER_AUTH=USER:PASSWORD")
    # the arguments are read in this process; the password is on no command line
    auth = [f"--basic_auth={settings.flower_auth}"] if settings.flower_auth else []
    create_app(settings).start([
        "flower", f"--address={address}", f"--port={port}", *auth, "--max_tasks=20000", "--natural_time=True",
    ])  # fmt: skip
