"""The processes of a bucket: its changes become events, and the writer stores tags beside the images."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import structlog

from vectordb.errors import Permanent, Transient
from workers.dispatch.reconcile import Sweeper
from workers.events.folder import follow
from workers.events.listen_api import Connect
from workers.events.listener import LASTS_S, SOURCE, CatchUp, Listener
from workers.events.sources import Sources, State
from workers.processes.logs import configure
from workers.processes.loops import Periodic, Step, retrying, run_steps, until_stopped
from workers.processes.roles import RECOVER_EVERY, RECOVER_IDLE_MS, alive
from workers.settings.settings import Settings
from workers.stores.folder import FolderStore
from workers.wiring.wiring import Wiring

log = structlog.get_logger()

SWEEP_STEP_S = 0.5  # how long one step of a sweep may block the watcher
SWEEP_PAUSE_S = 3.0  # minimum time between two sweeps
TARGET_PAUSE_S = 0.2  # time between two polls of an empty list


def run_watcher(settings: Settings) -> None:
    """Watch the inbox folder for changes, and sweep it for changes that the watch missed."""
    configure()
    wiring = Wiring(settings)
    root, bucket = settings.inbox_folder, settings.bucket
    store = FolderStore({bucket: root})

    sweeper = wiring.sweeper()
    outage_tracker = wiring.outage_tracker
    sweeping = Periodic(settings.rescan_s, _sweep(sweeper, wiring.sources))
    turn = Step(sweeping, outage_tracker)  # while it is held back the watch continues, and no record is removed
    beating = Step(Periodic(1.0, lambda: wiring.health.beat("watcher")), outage_tracker)
    with until_stopped(alive(wiring, "watcher")) as stop, _released(sweeper):
        for seen in follow(store, bucket, root, settings.settle_ms / 1000, stop, outage_tracker):
            if seen.events:
                append = partial(wiring.inbox.append, seen.events)
                retrying(stop, append, outage_tracker)
            if seen.sweep:
                sweeping.hasten(SWEEP_PAUSE_S)
            turn()
            beating()
            stop.sign()


def run_reconcile(settings: Settings) -> None:
    """Compare the bucket with its records at intervals, because events can be lost.

    For a bucket on a server it also uses the listen API, which is faster but needs a sweep after each connection.
    Both run in one process, since a second one would take 100 MB of memory and be idle most of the time.
    """
    configure()
    wiring = Wiring(settings)
    sweeper = wiring.sweeper()
    sweeping = Periodic(settings.rescan_s, _sweep(sweeper, wiring.sources))
    beating = Periodic(1.0, lambda: wiring.health.beat("reconcile"))
    behind = threading.Event()

    def catch_up(*, connected: bool) -> bool:
        if connected:
            behind.set()
        return True  # the sweep below does the rest

    def sweep() -> None:
        if behind.is_set():
            behind.clear()
            sweeper.again()
            sweeping.hasten(SWEEP_PAUSE_S)
        sweeping()

    with (
        until_stopped(alive(wiring, "reconcile")) as stop, _released(sweeper), _listening(wiring, catch_up, stop),
    ):  # fmt: skip
        # a process that waits for a bucket must not be restarted
        run_steps(stop, wiring.outage_tracker, sweep, beating, lambda: stop.wait(0.1))


def _sweep(sweeper: Sweeper, sources: Sources) -> Callable[[], bool]:
    """A function that takes one step of a pass and returns whether the pass has ended."""

    def sweep() -> bool:
        if not sweeper.turn(SWEEP_STEP_S):
            return False
        found = sweeper.told
        sources.note("sweep", "working")
        if found.sent or found.gone:
            log.info("swept", seen=found.seen, sent=found.sent, gone=found.gone)
        return True

    return sweep


@contextmanager
def _released(sweeper: Sweeper) -> Iterator[None]:
    """Release the sweeper's lock at the end of the block, so that the next process can sweep at once."""
    try:
        yield
    finally:
        with suppress(Transient):  # then the lock expires
            sweeper.release()


def run_writer(settings: Settings) -> None:
    """Store tags beside the images, in the form that the settings choose. Raises ``Permanent`` if that is off."""
    configure()
    if settings.write_back == "off":
        raise Permanent("the writer has nothing to do, because WILDTAG_WRITE_BACK is off: set it to tags or sidecar")
    wiring = Wiring(settings)
    writer = wiring.writer(f"{socket.gethostname()}-{os.getpid()}")
    recovering = Periodic(RECOVER_EVERY, lambda: writer.recover(RECOVER_IDLE_MS))
    beating = Periodic(1.0, lambda: wiring.health.beat("writer"))
    with until_stopped(alive(wiring, "writer")) as stop:
        retrying(stop, writer.prepare, wiring.outage_tracker)
        run_steps(stop, wiring.outage_tracker, lambda: writer.step(block_ms=500), recovering, beating)


def run_redis_target(settings: Settings) -> None:
    """Consume the events that MinIO's Redis target writes."""
    configure()
    wiring = Wiring(settings)
    target = wiring.redis_target
    pause = TARGET_PAUSE_S if settings.redis_target_format == "access" else settings.redis_target_every_s
    beating = Periodic(1.0, lambda: wiring.health.beat("redis-target"))
    with until_stopped(alive(wiring, "redis-target")) as stop:

        def take() -> None:
            if not target.step():
                stop.wait(pause)

        run_steps(stop, wiring.outage_tracker, take, beating)


def run_listener(settings: Settings, connect: Connect | None = None, catch_up: CatchUp | None = None) -> None:
    """Consume events over the listen API, and sweep the bucket after every connection to find earlier changes.

    ``connect`` and ``catch_up`` default to those that the settings choose.
    """
    configure()
    wiring = Wiring(settings)
    wiring.liveness.begin("listener")  # the listening thread touches the file
    # never resume the pass of another process: only objects seen since the own last connection count
    sweeper = wiring.sweeper(resume=False)

    def sweep(*, connected: bool) -> bool:
        if connected:
            sweeper.again()
        if not sweeper.turn(SWEEP_STEP_S):
            return False
        wiring.sources.note("sweep", "working")
        log.info("caught up", seen=sweeper.told.seen, sent=sweeper.told.sent, gone=sweeper.told.gone)
        return True

    with until_stopped() as stop, _released(sweeper), _following(wiring, connect, catch_up or sweep, stop):
        while not stop.wait(1.0):
            pass


@contextmanager
def _listening(wiring: Wiring, catch_up: CatchUp, stop: threading.Event) -> Iterator[None]:
    """Listen during the block, if the settings enable it and the bucket is on a server."""
    if wiring.settings.s3_endpoint is None or not wiring.settings.listen:
        with suppress(Transient):
            wiring.sources.forget(SOURCE)  # left by an earlier run
        yield
        return
    with _following(wiring, None, catch_up, stop):
        yield


def _report(wiring: Wiring, state: State, reason: str) -> None:
    """Publish the condition of the listener."""
    wiring.sources.note(SOURCE, state, reason, LASTS_S)


@contextmanager
def _following(wiring: Wiring, connect: Connect | None, catch_up: CatchUp, stop: threading.Event) -> Iterator[None]:
    """Listen during the block, in a thread, so that a silent server does not block the handling of signals."""
    listener = Listener(
        connect or wiring.listening, wiring.settings.bucket, wiring.event_sink, catch_up,
        alive=Periodic(1.0, lambda: wiring.health.beat("listener")),
        report=partial(_report, wiring),
    )  # fmt: skip
    failed: list[Exception] = []

    def follow() -> None:
        try:
            listener.follow(stop)
        except Exception as exc:  # the main thread raises it
            failed.append(exc)
            stop.set()

    thread = threading.Thread(target=follow, daemon=True, name="listener")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(2)
        with suppress(Transient):  # then it expires
            wiring.sources.forget(SOURCE)
    if failed:
        raise failed[0]
