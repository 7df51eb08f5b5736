"""The listener process, and a context manager for other processes that also listen."""

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
from workers.processes.loops import LOOK_EVERY_S, Periodic, retire, running
from workers.processes.sweeping import SWEEP_STEP_S, let_go
from workers.settings.settings import Settings
from workers.wiring.dispatch import requested_sweeps
from workers.wiring.dispatch import sweeper as sweeper_of
from workers.wiring.events import listening as connect_of
from workers.wiring.wiring import Wiring

log = structlog.get_logger()


def run_listener(settings: Settings, connect: Connect | None = None, catch_up: CatchUp | None = None) -> None:
    """Consume events over the listen API, and sweep the bucket after every connection to find earlier changes.

    ``connect`` and ``catch_up`` default to those that the settings choose.
    """
    configure(settings, "listener")
    wiring = Wiring(settings)
    connect = connect or connect_of(wiring)
    # never resume the pass of another process: only objects seen since the own last connection count
    sweeper = sweeper_of(wiring, resume=False)

    lost = threading.Event()
    requested = requested_sweeps(wiring)

    def sweep(*, connected: bool) -> bool:
        if lost.is_set():
            sweeper.restart()
            lost.clear()
        if connected:
            sweeper.rescan()
        if not sweeper.step(SWEEP_STEP_S):
            return False
        requested.ended()
        wiring.sources.note("sweep", "working")
        log.info("caught up", seen=sweeper.progress.seen, sent=sweeper.progress.sent, gone=sweeper.progress.gone)
        return True

    with (
        running(wiring, "listener", encodes=False) as stop,  # later the listening thread reports liveness
        let_go(sweeper),
        _following(wiring, connect, catch_up or sweep, stop) as listener,
    ):

        def start_again() -> None:
            lost.set()
            listener.catch_up_again()

        wiring.data_loss.on_any_loss(requested.restart)
        wiring.data_loss.on_any_loss(start_again)
        while not stop.wait(LOOK_EVERY_S):
            stop.look()
            with suppress(Transient):  # it is looked up again soon
                if requested.due():
                    listener.catch_up_again()


@contextmanager
def listening(wiring: Wiring, catch_up: CatchUp, stop: threading.Event) -> Iterator[None]:
    """Listen during the block, if the settings enable it and the bucket is on a server."""
    if wiring.settings.s3_endpoint is None or not wiring.settings.listen:
        with suppress(Transient):
            wiring.sources.forget(SOURCE)  # an older state
        yield
        return
    with _following(wiring, None, catch_up, stop):
        yield


def _report(wiring: Wiring, state: State, reason: str) -> None:
    """Publish the condition of the listener."""
    wiring.sources.note(SOURCE, state, reason, LASTS_S)


@contextmanager
def _following(
    wiring: Wiring, connect: Connect | None, catch_up: CatchUp, stop: threading.Event
) -> Iterator[Listener]:
    """Listen during the block, in a thread, so that a silent server does not block the handling of signals."""
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
        yield listener
    finally:
        stop.set()
        thread.join(2)
        retire(wiring, "listener")
        with suppress(Transient):  # the state expires
            wiring.sources.forget(SOURCE)
    if failed:
        raise failed[0]
