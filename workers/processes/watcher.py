"""The process that watches the inbox folder."""

from __future__ import annotations

from functools import partial

from vectordb.errors import Permanent
from workers.events.folder_watch import follow
from workers.processes.logs import configure
from workers.processes.loops import Periodic, Step, retrying, running
from workers.processes.reloading import reloading
from workers.processes.sweeping import SWEEP_REST_S, let_go, restarting, sweep_step
from workers.settings.settings import Settings
from workers.stores.folder import FolderStore
from workers.wiring.dispatch import sweeper as sweeper_of
from workers.wiring.wiring import Wiring


def run_watcher(settings: Settings) -> None:
    """Watch the inbox folder for changes, and sweep it for changes that the watch missed."""
    configure(settings, "watcher")
    reloading(settings, _run)


def _run(wiring: Wiring) -> None:
    settings = wiring.settings
    root, bucket = settings.inbox_folder, settings.bucket
    store = wiring.store
    if not isinstance(store, FolderStore):
        raise Permanent("WILDTAG_S3_ENDPOINT is set, and a bucket on a server is not watched: run wildtag reconcile")
    sweeper = sweeper_of(wiring)
    outage_tracker = wiring.outage_tracker
    sweeping = Periodic(settings.rescan_s, sweep_step(sweeper, wiring.sources))
    step = Step(sweeping, outage_tracker)  # during an outage the watch continues, and no record is removed
    beating = Step(Periodic(1.0, lambda: wiring.health.beat("watcher")), outage_tracker)
    wiring.data_loss.on_any_loss(restarting(sweeper, sweeping))
    with running(wiring, "watcher") as stop, let_go(sweeper):
        for seen in follow(store, bucket, root, settings.settle_ms / 1000, stop, outage_tracker):
            if seen.events:
                retrying(stop, wiring.inbox_room.require, outage_tracker)  # meanwhile notifications may be lost
                append = partial(wiring.inbox.append, seen.events)
                retrying(stop, append, outage_tracker)
            if seen.sweep:
                sweeping.hasten(SWEEP_REST_S)
            step()
            beating()
            stop.sign()
