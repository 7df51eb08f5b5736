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

from vectordb.errors import Permanent, Transient
from workers.app import create_app
from workers.events.folder import follow
from workers.logs import configure
from workers.settings import Settings
from workers.stores.folder import FolderStore
from workers.wiring import Wiring

log = structlog.get_logger()

KEEPER_EVERY = 1.0
RECOVER_EVERY = 30.0
RECOVER_IDLE_MS = 30_000
SWEEP_TURN = 0.5  # seconds that the watch may be held up by a sweep
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
        _retrying(stop, wiring.later.prepare)
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

    sweeping = Every(settings.rescan_s, _sweep(wiring))
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


def run_reconcile(settings: Settings) -> None:
    """Compare the followed bucket with its records, again and again: events are hints, and some are lost."""
    configure()
    wiring = Wiring(settings)
    sweep = _sweep(wiring)
    sweeping = Every(settings.rescan_s, sweep)
    beating = Every(1.0, lambda: wiring.health.beat("reconcile"))
    with _until_stopped() as stop:
        while not stop.is_set():
            _retrying(stop, sweeping)
            _retrying(stop, beating)
            stop.wait(0.1)


def _sweep(wiring: Wiring) -> Callable[[], bool]:
    """A turn of a pass; true at its end."""
    sweeper = wiring.sweeper()

    def sweep() -> bool:
        if not sweeper.turn(SWEEP_TURN):
            return False
        found = sweeper.told
        if found.sent or found.gone:
            log.info("swept", seen=found.seen, sent=found.sent, gone=found.gone)
        return True

    return sweep


def run_writer(settings: Settings) -> None:
    """Write tags back beside the images, as the settings say."""
    configure()
    if settings.write_back == "off":
        raise Permanent("nothing is written back: WILDTAG_WRITE_BACK is off; choose tags or sidecar")
    wiring = Wiring(settings)
    writer = wiring.writer(f"{socket.gethostname()}-{os.getpid()}")
    recovering = Every(RECOVER_EVERY, lambda: writer.recover(RECOVER_IDLE_MS))
    beating = Every(1.0, lambda: wiring.health.beat("writer"))
    with _until_stopped() as stop:
        _retrying(stop, writer.prepare)
        while not stop.is_set():
            _retrying(stop, lambda: writer.step(block_ms=500))
            for turn in (recovering, beating):
                _retrying(stop, turn)


def run_flower(settings: Settings, port: int) -> None:
    """Flower on the loopback address."""
    create_app(settings).start([
        "flower", "--address=127.0.0.1", f"--port={port}", "--max_tasks=20000", "--natural_time=True",
    ])  # fmt: skip


class Every:
    """Calls something when it was last called at least ``seconds`` ago; the first time at once.

    A call that gives ``False`` is not at its end: it is due again at once.
    """

    def __init__(self, seconds: float, call: Callable[[], object]) -> None:
        self._seconds = seconds
        self._call = call
        self._called = 0.0
        self._due = 0.0

    def __call__(self) -> None:
        """Call it if it is due. When it raises, it is due again in a second."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + 1
            ended = self._call() is not False
            self._called = time.monotonic()
            self._due = self._called + (self._seconds if ended else 0.0)

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
