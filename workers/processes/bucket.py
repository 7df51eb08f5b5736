"""The processes that follow a bucket: what happens in it becomes events, and tags may go back beside the images."""

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

SWEEP_TURN = 0.5  # seconds that the watch may be held up by a sweep
SWEEP_REST = 3.0  # seconds between two sweeps at the least
TARGET_REST = 0.2  # seconds between two looks at an empty list


def run_watcher(settings: Settings) -> None:
    """Follow the inbox folder: a watch for what changes, a sweep for what the watch missed."""
    configure()
    wiring = Wiring(settings)
    root, bucket = settings.inbox_folder, settings.bucket
    store = FolderStore({bucket: root})

    sweeper = wiring.sweeper()
    outage_tracker = wiring.outage_tracker
    sweeping = Periodic(settings.rescan_s, _sweep(sweeper, wiring.sources))
    turn = Step(sweeping, outage_tracker)  # while it cannot be taken the watch goes on, and the records stay
    beating = Step(Periodic(1.0, lambda: wiring.health.beat("watcher")), outage_tracker)
    with until_stopped(alive(wiring, "watcher")) as stop, _let_go(sweeper):
        for seen in follow(store, bucket, root, settings.settle_ms / 1000, stop, outage_tracker):
            if seen.events:
                append = partial(wiring.inbox.append, seen.events)
                retrying(stop, append, outage_tracker)
            if seen.sweep:
                sweeping.hasten(SWEEP_REST)
            turn()
            beating()
            stop.sign()


def run_reconcile(settings: Settings) -> None:
    """Compare the followed bucket with its records, again and again: events are hints, and some are lost.

    Beside that, listen to the bucket, where it is on a server: that is the fast way, and after each connection it
    needs a sweep. One process does both, since a second one would cost 100 MB to do nothing most of the time.
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
        return True  # what is left is for the sweep below

    def sweep() -> None:
        if behind.is_set():
            behind.clear()
            sweeper.rescan()
            sweeping.hasten(SWEEP_REST)
        sweeping()

    with (
        until_stopped(alive(wiring, "reconcile")) as stop, _let_go(sweeper), _listening(wiring, catch_up, stop),
    ):  # fmt: skip
        # waiting for a bucket is no reason to be restarted
        run_steps(stop, wiring.outage_tracker, sweep, beating, lambda: stop.wait(0.1))


def _sweep(sweeper: Sweeper, sources: Sources) -> Callable[[], bool]:
    """A turn of a pass; true at its end."""

    def sweep() -> bool:
        if not sweeper.step(SWEEP_TURN):
            return False
        found = sweeper.progress
        sources.note("sweep", "working")
        if found.sent or found.gone:
            log.info("swept", seen=found.seen, sent=found.sent, gone=found.gone)
        return True

    return sweep


@contextmanager
def _let_go(sweeper: Sweeper) -> Iterator[None]:
    """Afterwards whoever comes next may sweep at once: this process again, say, when it is started anew."""
    try:
        yield
    finally:
        with suppress(Transient):  # the lock ends by itself, a little later
            sweeper.release()


def run_writer(settings: Settings) -> None:
    """Write tags back beside the images, as the settings say."""
    configure()
    if settings.write_back == "off":
        raise Permanent("nothing is written back: WILDTAG_WRITE_BACK is off; choose tags or sidecar")
    wiring = Wiring(settings)
    writer = wiring.writer(f"{socket.gethostname()}-{os.getpid()}")
    recovering = Periodic(RECOVER_EVERY, lambda: writer.recover(RECOVER_IDLE_MS))
    beating = Periodic(1.0, lambda: wiring.health.beat("writer"))
    with until_stopped(alive(wiring, "writer")) as stop:
        retrying(stop, writer.prepare, wiring.outage_tracker)
        run_steps(stop, wiring.outage_tracker, lambda: writer.step(block_ms=500), recovering, beating)


def run_redis_target(settings: Settings) -> None:
    """Take over what MinIO's Redis target writes."""
    configure()
    wiring = Wiring(settings)
    target = wiring.redis_target
    rest = TARGET_REST if settings.redis_target_format == "access" else settings.redis_target_every_s
    beating = Periodic(1.0, lambda: wiring.health.beat("redis-target"))
    with until_stopped(alive(wiring, "redis-target")) as stop:

        def take() -> None:
            if not target.step():
                stop.wait(rest)

        run_steps(stop, wiring.outage_tracker, take, beating)


def run_listener(settings: Settings, connect: Connect | None = None, catch_up: CatchUp | None = None) -> None:
    """Listen to the bucket, and sweep it after every connection: nobody tells what happened before.

    The settings say to what, and how it is swept, where that is not given.
    """
    configure()
    wiring = Wiring(settings)
    wiring.liveness.begin("listener")  # its signs come from the thread that listens
    # no other process may go on where this one was: what it has seen was seen since its own last connection
    sweeper = wiring.sweeper(resume=False)

    def sweep(*, connected: bool) -> bool:
        if connected:
            sweeper.rescan()
        if not sweeper.step(SWEEP_TURN):
            return False
        wiring.sources.note("sweep", "working")
        log.info("caught up", seen=sweeper.progress.seen, sent=sweeper.progress.sent, gone=sweeper.progress.gone)
        return True

    with until_stopped() as stop, _let_go(sweeper), _following(wiring, connect, catch_up or sweep, stop):
        while not stop.wait(1.0):
            pass


@contextmanager
def _listening(wiring: Wiring, catch_up: CatchUp, stop: threading.Event) -> Iterator[None]:
    """Listen meanwhile, if the settings say so and the bucket is on a server."""
    if wiring.settings.s3_endpoint is None or not wiring.settings.listen:
        with suppress(Transient):
            wiring.sources.forget(SOURCE)  # of another time
        yield
        return
    with _following(wiring, None, catch_up, stop):
        yield


def _report(wiring: Wiring, state: State, reason: str) -> None:
    """The one place where it is told how listening is, besides the log."""
    wiring.sources.note(SOURCE, state, reason, LASTS_S)


@contextmanager
def _following(wiring: Wiring, connect: Connect | None, catch_up: CatchUp, stop: threading.Event) -> Iterator[None]:
    """Listen meanwhile, in a thread of its own: a silent server may keep it waiting, and signals must be heard."""
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
        with suppress(Transient):  # else it is seen by its age
            wiring.sources.forget(SOURCE)
    if failed:
        raise failed[0]
