"""What each long-running process does. The supervisor, Compose and Kubernetes run the same commands."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import structlog

from vectordb.errors import Permanent, Transient
from workers.app import create_app
from workers.events.folder import follow
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


def run_flower(settings: Settings, port: int, address: str = "127.0.0.1") -> None:
    """Flower: on the loopback address, or on another one for those who know its user and password.

    Whoever reaches Flower can stop workers. Raises ``Permanent`` when it would be open to other machines.
    """
    if not settings.flower_auth and not _is_loopback(address):
        raise Permanent(f"Flower listens on {address} only for those it knows: set WILDTAG_FLOWER_AUTH=USER:PASSWORD")
    # the arguments are read in this process; the password is on no command line
    auth = [f"--basic_auth={settings.flower_auth}"] if settings.flower_auth else []
    create_app(settings).start([
        "flower", f"--address={address}", f"--port={port}", *auth, "--max_tasks=20000", "--natural_time=True",
    ])  # fmt: skip


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:  # a name, which may lead anywhere
        return address == "localhost"


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
