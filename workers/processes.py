"""What each long-running process does. The supervisor, Compose and Kubernetes run the same commands."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import structlog

from vectordb.errors import Transient
from workers.app import create_app
from workers.events.folder import follow
from workers.events.listener import Connect, Listener
from workers.ledger import token
from workers.logs import configure
from workers.reconcile import reconcile
from workers.settings import Settings
from workers.stores.folder import FolderStore
from workers.wiring import Wiring

log = structlog.get_logger()

KEEPER_EVERY = 1.0
RECOVER_EVERY = 30.0
RECOVER_IDLE_MS = 30_000
TARGET_REST = 0.2  # seconds between two looks at an empty list
SWEEP_REST = 3.0  # seconds between two sweeps at the least


def run_worker(settings: Settings, queues: list[str], concurrency: int) -> None:
    """A Celery worker for some queues, in prefork mode: what a child loads, it loads after the fork."""
    from workers.stages import Stages, register  # noqa: PLC0415 -- only a worker needs the stages

    configure()
    app = create_app(settings)
    register(app, cache(lambda: Stages(Wiring(settings))))
    app.worker_main([
        "worker", "--queues", ",".join(queues), "--hostname", f"{'-'.join(queues)}@%h",
        "--pool", "prefork", "--concurrency", str(concurrency), "--loglevel", "INFO",
        "--task-events", "--without-gossip", "--without-mingle",
    ])  # fmt: skip


def run_dispatcher(settings: Settings) -> None:
    """Events to batches; and the keeper beside it."""
    configure()
    wiring = Wiring(settings)
    consumer = f"{socket.gethostname()}-{os.getpid()}"
    dispatcher, keeper = wiring.dispatcher(consumer), wiring.keeper()
    keeping = Every(KEEPER_EVERY, keeper.step)
    recovering = Every(RECOVER_EVERY, lambda: dispatcher.recover(RECOVER_IDLE_MS))
    beating = Every(1.0, lambda: wiring.health.beat("dispatcher"))
    with _until_stopped() as stop:
        _retrying(stop, wiring.inbox.prepare)
        _retrying(stop, lambda: dispatcher.recover(0))  # a predecessor's leftovers: there is one dispatcher a home
        while not stop.is_set():
            _retrying(stop, lambda: dispatcher.step(block_ms=500))
            for turn in (keeping, recovering, beating):
                _retrying(stop, turn)


def run_watcher(settings: Settings) -> None:
    """Follow the inbox folder: a watch for what changes, a sweep for what the watch missed."""
    configure()
    wiring = Wiring(settings)
    root, bucket = settings.inbox_folder, settings.bucket
    store = FolderStore({bucket: root})

    def sweep() -> None:
        found = reconcile(store, bucket, wiring.records, wiring.inbox, token(wiring.current()))
        if found.sent or found.gone:
            log.info("swept", seen=found.seen, sent=found.sent, gone=found.gone)

    sweeping = Every(settings.rescan_s, sweep)
    beating = Every(1.0, lambda: wiring.health.beat("watcher"))
    with _until_stopped() as stop:
        for seen in follow(store, bucket, root, settings.settle_ms / 1000, stop):
            if seen.events:
                _retrying(stop, lambda seen=seen: wiring.inbox.append(seen.events))  # type: ignore[misc]  # bound now
            if seen.sweep:
                sweeping.hasten(SWEEP_REST)
            try:
                sweeping()
            except Transient as exc:
                log.warning("not swept", reason=str(exc))  # the watch goes on, and the records stay
            _retrying(stop, beating)


def run_gateway(settings: Settings) -> None:
    """Take in events over HTTP."""
    from workers.gateway.serving import serve  # noqa: PLC0415 -- only the gateway needs a web server

    configure()
    serve(settings)


def run_redis_target(settings: Settings) -> None:
    """Take over what MinIO's Redis target writes."""
    configure()
    wiring = Wiring(settings)
    target = wiring.redis_target
    rest = TARGET_REST if settings.redis_target_format == "access" else settings.redis_target_every_s
    beating = Every(1.0, lambda: wiring.health.beat("redis-target"))
    taken = 0

    def take() -> None:
        nonlocal taken
        taken = target.step()

    with _until_stopped() as stop:
        while not stop.is_set():
            _retrying(stop, take)
            _retrying(stop, beating)
            if not taken:
                stop.wait(rest)


def run_listener(
    settings: Settings, connect: Connect | None = None, catch_up: Callable[[], object] | None = None
) -> None:
    """Listen to the bucket, and sweep it after every connection: nobody tells what happened before.

    The settings say to what, and how it is swept, where that is not given.
    """
    configure()
    wiring = Wiring(settings)
    beating = Every(1.0, lambda: wiring.health.beat("listener"))

    def sweep() -> None:
        revision = token(wiring.current())
        found = reconcile(wiring.store, settings.bucket, wiring.records, wiring.inbox, revision)
        log.info("caught up", seen=found.seen, sent=found.sent, gone=found.gone)

    listener = Listener(
        connect or wiring.listening, settings.bucket, wiring.reception, catch_up or sweep, alive=beating
    )
    failed: list[Exception] = []

    def follow(stop: threading.Event) -> None:
        try:
            listener.follow(stop)
        except Exception as exc:  # the main thread raises it
            failed.append(exc)
            stop.set()

    with _until_stopped() as stop:
        # in a thread of its own: a silent server may keep it waiting for minutes, and signals must be heard
        thread = threading.Thread(target=follow, args=(stop,), daemon=True, name="listener")
        thread.start()
        while not stop.wait(1.0):
            pass
        thread.join(2)
    if failed:
        raise failed[0]


def run_flower(settings: Settings, port: int) -> None:
    """Flower on the loopback address."""
    create_app(settings).start([
        "flower", "--address=127.0.0.1", f"--port={port}", "--max_tasks=20000", "--natural_time=True",
    ])  # fmt: skip


class Every:
    """Calls something when it was last called at least ``seconds`` ago; the first time at once."""

    def __init__(self, seconds: float, call: Callable[[], object]) -> None:
        self._seconds = seconds
        self._call = call
        self._called = 0.0
        self._due = 0.0

    def __call__(self) -> None:
        """Call it if it is due. When it raises, it is due again in a second."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + 1
            self._call()
            self._called = time.monotonic()
            self._due = self._called + self._seconds

    def hasten(self, rest: float) -> None:
        """Make it due as soon as ``rest`` seconds have passed since it was last called."""
        self._due = min(self._due, self._called + rest)


@contextmanager
def _until_stopped() -> Iterator[threading.Event]:
    stop = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    yield stop


def _retrying(stop: threading.Event, call: Callable[[], object]) -> None:
    """Repeat a call until it meets no transient fault; a fault is logged once, and again when it is over."""
    pause = 0.1
    while not stop.is_set():
        try:
            call()
        except Transient as exc:
            if pause < 0.2:
                log.warning("waiting", reason=str(exc))
            stop.wait(pause)
            pause = min(5.0, pause * 2)
        else:
            if pause >= 0.2:
                log.info("going on")
            return
