"""The process that writes tags back beside the images."""

from __future__ import annotations

from vectordb.errors import Permanent
from workers.processes.logs import configure
from workers.processes.loops import RECOVER_EVERY_S, RECOVER_IDLE_MS, Periodic, retrying, run_steps, running
from workers.settings.settings import Settings
from workers.wiring.notifying import writer as writer_of
from workers.wiring.wiring import Wiring


def run_writer(settings: Settings) -> None:
    """Store tags beside the images, in the configured form. Raises ``Permanent`` if write-back is disabled."""
    configure(settings, "writer")
    if settings.write_back == "off":
        raise Permanent("the writer has nothing to do, because WILDTAG_WRITE_BACK is off: set it to tags or sidecar")
    wiring = Wiring(settings)
    writer = writer_of(wiring, wiring.process_name)
    recovering = Periodic(RECOVER_EVERY_S, lambda: writer.recover(RECOVER_IDLE_MS))
    beating = Periodic(1.0, lambda: wiring.health.beat("writer"))
    with running(wiring, "writer", encodes=False) as stop:
        retrying(stop, writer.prepare, wiring.outage_tracker)
        run_steps(stop, wiring.outage_tracker, lambda: writer.step(block_ms=500), recovering, beating)
