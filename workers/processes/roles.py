"""Worker, dispatcher, gateway and Flower, as the supervisor, Compose and Kubernetes run them."""

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
    """Run a Celery worker for some queues, in prefork mode. Models are loaded after the fork."""
    from workers.diagnostics.worker_liveness import WorkerLiveness, keep  # noqa: PLC0415 -- as above
    from workers.stages.registration import register  # noqa: PLC0415 -- only a worker needs the stages
    from workers.stages.runner import Stages  # noqa: PLC0415 -- as above

    configure()
    # during an outage of the broker Celery logs every attempt to connect
    logging.getLogger("celery.worker.consumer.consumer").addFilter(OnceAMinute())
    app = create_app(settings)
    if settings.liveness_folder is not None:  # otherwise the supervisor probes
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
    """Reset the liveness file of a process, and return the function that touches it."""
    wiring.liveness.begin(name)
    return lambda: wiring.liveness.touch(name)


def run_dispatcher(settings: Settings) -> None:
    """Run the dispatcher, which turns events into batches, and the keeper of the ledger."""
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
        # entries that a predecessor left: each home has only one dispatcher
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
    """Run the HTTP gateway, which receives images and events and serves results and the page."""
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
    """Run Flower on the loopback address, or with authentication on another address.

    Flower can stop workers. Raises ``Permanent`` for another address without ``flower_auth``.
    """
    if not settings.flower_auth and not loopback(address):
        raise Permanent(f"Flower on {address} requires a password: set WILDTAG_FLOWER_AUTH=USER:PASSWORD")
    # the arguments are read in this process; the password is on no command line
    auth = [f"--basic_auth={settings.flower_auth}"] if settings.flower_auth else []
    create_app(settings).start([
        "flower", f"--address={address}", f"--port={port}", *auth, "--max_tasks=20000", "--natural_time=True",
    ])  # fmt: skip
