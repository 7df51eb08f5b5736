"""The process that compares a bucket on a server with its records, and listens to it."""

from __future__ import annotations

import threading

from workers.processes.listener import listening
from workers.processes.logs import configure
from workers.processes.loops import Periodic, run_steps, running
from workers.processes.reloading import reloading
from workers.processes.sweeping import SWEEP_REST_S, SWEEP_STEP_S, let_go, restarting, sweep_step
from workers.settings.settings import Settings
from workers.wiring.dispatch import requested_sweeps
from workers.wiring.dispatch import sweeper as sweeper_of
from workers.wiring.wiring import Wiring


def run_reconcile(settings: Settings) -> None:
    """Compare the bucket with its records at intervals, because events can be lost.

    For a bucket on a server it also uses the listen API, which is faster and needs a sweep after each connection.
    Both run in one process, since a second one would take 100 MB of memory and be idle most of the time. Events that
    report a change without saying where bring the sweep forward.
    """
    configure(settings, "reconcile")
    reloading(settings, _run)


def _run(wiring: Wiring) -> None:
    sweeper = sweeper_of(wiring)
    requested = requested_sweeps(wiring, parts=True)
    sweeping = Periodic(wiring.settings.rescan_s, sweep_step(sweeper, wiring.sources, requested))
    beating = Periodic(1.0, lambda: wiring.health.beat("reconcile"))
    behind = threading.Event()

    def catch_up(*, connected: bool) -> bool:
        if connected:
            behind.set()
        return True  # the sweep below does the rest

    def sweep() -> None:
        if behind.is_set():
            behind.clear()
            sweeper.rescan()
            sweeping.hasten(SWEEP_REST_S)
        if requested.due(idle=sweeper.idle):
            sweeper.rescan()
            sweeping.hasten(0.0)
        if not requested.step(SWEEP_STEP_S):
            sweeping()

    wiring.data_loss.on_any_loss(requested.restart)
    wiring.data_loss.on_any_loss(restarting(sweeper, sweeping))
    with (
        running(wiring, "reconcile") as stop,
        let_go(sweeper),
        let_go(requested),
        listening(wiring, catch_up, stop),
    ):
        # a process that waits for a bucket must not be restarted
        run_steps(stop, wiring.outage_tracker, sweep, beating, lambda: stop.wait(0.1))
