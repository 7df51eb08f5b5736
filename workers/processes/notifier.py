"""The notifier process."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from vectordb.errors import Transient
from workers.processes.logs import configure
from workers.processes.loops import Periodic, retrying, run_steps, until_stopped
from workers.processes.roles import alive
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring

RECOVER_EVERY = 10.0
RECOVER_IDLE_MS = 10_000
DRAIN_S = 3.0  # time for responses in flight when it is stopped


def run_notifier(settings: Settings) -> None:
    """Deliver every finished object to the receiver at WILDTAG_NOTIFY_URL."""
    configure()
    wiring = Wiring(settings)
    with wiring.poster as poster, until_stopped(alive(wiring, "notifier")) as stop:
        notifier = wiring.notifier(poster.post, f"{socket.gethostname()}-{os.getpid()}")
        recovering = Periodic(RECOVER_EVERY, lambda: notifier.recover(RECOVER_IDLE_MS))
        beating = Periodic(1.0, lambda: wiring.health.beat("notifier"))
        retrying(stop, notifier.prepare, wiring.outage_tracker)
        run_steps(stop, wiring.outage_tracker, notifier.step, recovering, beating)
        with suppress(Transient):  # then they are sent again
            notifier.abandon(DRAIN_S)
