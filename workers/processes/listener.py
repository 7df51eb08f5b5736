"""The process that listens to a bucket on a server, and what other processes use to listen beside their work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

import structlog

from vectordb.errors import Transient
from workers.events.listen_api import Connect
from workers.events.listener import LASTS_S, SOURCE, CatchUp, Listener
from workers.events.sources import State
from workers.processes.logs import configure
from workers.processes.loops import Periodic, retrying, until_stopped
from workers.processes.sweeping import SWEEP_TURN_S, let_go
from workers.settings.settings import Settings
from workers.wiring.dispatch import sweeper as sweeper_of
from workers.wiring.events import listening as connect_of
from workers.wiring.wiring import Wiring

log = structlog.get_logger()


def run_listener(settings: Settings, connect: Connect | None = None, catch_up: CatchUp | None = None) -> None:
    """Listen to the bucket, and sweep it after every connection: nobody tells what happened before.

    The settings say to what, and how it is swept, where that is not given.
    """
    configure()
    wiring = Wiring(settings)
    wiring.liveness.begin("listener")  # its signs come from the thread that listens
    connect = connect or connect_of(wiring)
    # no other process may go on where this one was: what it has seen was seen since its own last connection
    sweeper = sweeper_of(wiring, resume=False)

    def sweep(*, connected: bool) -> bool:
        if connected:
            sweeper.rescan()
        if not sweeper.step(SWEEP_TURN_S):
            return False
        wiring.sources.note("sweep", "working")
        log.info("caught up", seen=sweeper.progress.seen, sent=sweeper.progress.sent, gone=sweeper.progress.gone)
        return True

    with until_stopped(lambda: wiring.liveness.touch("listener")) as stop, let_go(sweeper):
        retrying(stop, wiring.layout.require, wiring.outage_tracker)
        with _following(wiring, connect, catch_up or sweep, stop):
            while not stop.wait(1.0):
                pass


@contextmanager
def listening(wiring: Wiring, catch_up: CatchUp, stop: threading.Event) -> Iterator[None]:
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
        connect or connect_of(wiring), wiring.settings.bucket, wiring.event_sink, catch_up,
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
