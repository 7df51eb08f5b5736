"""The processes of an encoder that prepares, where they are started by Compose, Kubernetes, systemd or a person.

They wait until ``wildtag encoder begin`` names an encoder, and again after it was put into use or given up. The
embedded stack has no use for them: there the command starts them itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import structlog

from workers.outages.tracker import OutageTracker
from workers.processes.dispatcher import run_dispatcher
from workers.processes.feeder import FEEDER, run_feeder
from workers.processes.logs import configure
from workers.processes.loops import Step, retrying, until_stopped
from workers.processes.measuring import measure_process
from workers.processes.worker import run_worker
from workers.redis.encoders import ChosenEncoder, EncoderChanged
from workers.settings.settings import STAGES, Settings
from workers.wiring.captions import library_of
from workers.wiring.encoder_change import next_settings, require_possible
from workers.wiring.wiring import Wiring

log = structlog.get_logger()

NICE = 10  # processes of the encoder in use on the same machine go first
LOOK_EVERY_S = 1.0


def _worker(settings: Settings, change: ChosenEncoder) -> None:
    # one process has all models: it takes half of the memory that four would
    run_worker(next_settings(settings, change), list(STAGES), 1, beside=True, preparing=change.space)


def _dispatcher(settings: Settings, change: ChosenEncoder) -> None:
    run_dispatcher(next_settings(settings, change))


PROCESSES: Mapping[str, Callable[[Settings, ChosenEncoder], None]] = {
    "worker": _worker, "dispatcher": _dispatcher, FEEDER: run_feeder,
}  # fmt: skip


def run_next(settings: Settings, process: str) -> None:
    """Run one of ``PROCESSES``. Returns when it is stopped; a worker, also when its encoder prepares no more.

    Raises ``Permanent`` where the encoder cannot be changed in this way.
    """
    configure(settings, f"next-{process}")
    require_possible(settings)
    measure_process(settings)  # before there is an encoder, too: a port that does not answer looks like a fault
    os.nice(max(0, NICE - os.nice(0)))
    while (change := _awaited(settings, process)) is not None:
        log.info("an encoder is being prepared", encoder=change.encoder, space=change.space)
        try:
            PROCESSES[process](settings, change)
        except EncoderChanged as exc:
            log.info("waiting for the next encoder", reason=str(exc))
        else:
            return


def _awaited(settings: Settings, process: str) -> ChosenEncoder | None:
    """The encoder to prepare, as soon as there is one; ``None`` once the process is stopped."""
    wiring, outage_tracker = Wiring(settings), OutageTracker()
    names = STAGES if process == "worker" else (process,)
    wiring.liveness.begin(*names)
    found: list[ChosenEncoder] = []

    def sign() -> None:
        for name in names:
            wiring.liveness.touch(name)

    def look() -> None:
        change = wiring.encoders.change()
        # the feeder downloads the model and encodes the captions; the others open both when they start
        if change and (process == FEEDER or library_of(settings).active(change.space) is not None):
            found.append(change)

    with until_stopped(sign) as stop:
        retrying(stop, wiring.layout.require, outage_tracker)
        log.info("waiting for an encoder to prepare", until="wildtag encoder begin NAME")
        step = Step(look, outage_tracker)
        while not stop.is_set():
            stop.sign()
            step()
            if found:
                return found[0]
            stop.wait(LOOK_EVERY_S)
    return None
