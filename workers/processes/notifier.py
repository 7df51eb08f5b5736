"""The notifier process."""

from __future__ import annotations

from contextlib import suppress

from vectordb.errors import Transient
from workers.processes.logs import configure
from workers.processes.loops import Periodic, retrying, run_steps, running
from workers.settings.settings import Settings
from workers.wiring.notifying import notifier as notifier_of
from workers.wiring.notifying import poster as poster_of
from workers.wiring.wiring import Wiring

RECOVER_EVERY = 10.0
RECOVER_IDLE_MS = 10_000
DRAIN_S = 3.0  # time for responses in flight when it is stopped


def run_notifier(settings: Settings) -> None:
    """Deliver every finished object to the receiver at WILDTAG_NOTIFY_URL."""
    configure()
    wiring = Wiring(settings)
    with poster_of(wiring) as poster, running(wiring, "notifier") as stop:
        notifier = notifier_of(wiring, poster.post, wiring.process_name)
        recovering = Periodic(RECOVER_EVERY, lambda: notifier.recover(RECOVER_IDLE_MS))
        beating = Periodic(1.0, lambda: wiring.health.beat("notifier"))
        retrying(stop, notifier.prepare, wiring.outage_tracker)
        run_steps(stop, wiring.outage_tracker, notifier.step, recovering, beating)
        with suppress(Transient):  # then they are sent again
            notifier.abandon(DRAIN_S)
