"""The dispatcher process, which also runs the keeper, and keeps the index of images in step with the records."""

from __future__ import annotations

from contextlib import suppress

import structlog

from vectordb.errors import Transient
from workers.dispatch.drained import Drained
from workers.images.follower import GATHER_S
from workers.processes.logs import configure
from workers.processes.loops import (
    RECOVER_EVERY_S,
    RECOVER_IDLE_MS,
    Once,
    Periodic,
    Step,
    retrying,
    run_steps,
    running,
)
from workers.processes.partition_watch import watching
from workers.processes.reloading import reloading
from workers.redis.persistence import risks
from workers.redis.persistence_watch import PersistenceWatch
from workers.settings.settings import Settings
from workers.wiring.dispatch import dispatcher as dispatcher_of
from workers.wiring.dispatch import feed_replay
from workers.wiring.dispatch import follower as follower_of
from workers.wiring.dispatch import keeper as keeper_of
from workers.wiring.encoder_in_use import require_in_use
from workers.wiring.images import periodic_verification
from workers.wiring.operations import losses, restoration, stalled_jobs, unfollowed, verification_wanted
from workers.wiring.wiring import Wiring

log = structlog.get_logger()

KEEPER_EVERY_S = 1.0
FOLLOW_EVERY_S = 0.2
VERIFY_STEP_EVERY_S = 0.1
BACKLOG_EVERY_S = 0.1
PASS_ON_EVERY_S = 0.5  # between two looks whether a partition is back
REPLAY_EVERY_S = 0.1
PERSISTENCE_EVERY_S = 2.0  # between two looks whether Redis can write its files
LOSSES_EVERY_S = 5.0  # between two counts of what a loss of Redis would cost


def run_dispatcher(settings: Settings) -> None:
    """Run the dispatcher, which turns events into batches, the keeper, and what keeps the index of images."""
    configure(settings, "dispatcher")
    reloading(settings, _run)


def _run(wiring: Wiring) -> None:
    dispatcher, keeper = dispatcher_of(wiring, wiring.process_name), keeper_of(wiring)
    restored = Step(restoration(wiring).step, wiring.outage_tracker)

    verification = periodic_verification(wiring)
    drained = Drained(wiring.drain, wiring.service)

    def recover(idle_ms: int) -> None:
        if not drained():
            dispatcher.recover(idle_ms)

    def dispatch() -> None:
        restored()  # before images are tagged without what people said; an outage of the store does not stop them
        if drained():
            return
        require_in_use(wiring)  # right after a drain, so that nothing is handed out for the encoder before
        dispatcher.step(block_ms=100 if verification.running else 500)

    keeping = Periodic(KEEPER_EVERY_S, keeper.step)
    recovering = Periodic(RECOVER_EVERY_S, lambda: recover(RECOVER_IDLE_MS))
    following = Periodic(FOLLOW_EVERY_S, follower_of(wiring, verification.hasten, gather_s=GATHER_S).step)
    verifying = Periodic(VERIFY_STEP_EVERY_S, verification.step)
    beating = Periodic(1.0, lambda: wiring.health.beat("dispatcher"))
    wanted = verification_wanted(wiring)

    def verify_when_wanted() -> None:
        if wanted.take():
            verification.hasten()

    hastening = Periodic(1.0, verify_when_wanted)
    queueing = Periodic(BACKLOG_EVERY_S, wiring.backlog.step)
    sending = Periodic(1.0, stalled_jobs(wiring).step)
    replaying = Periodic(REPLAY_EVERY_S, feed_replay(wiring).step)
    following_words = Periodic(1.0, unfollowed(wiring).step)
    lost = losses(wiring)
    wiring.data_loss.on_loss(lost.report)
    looking = Periodic(LOSSES_EVERY_S, lost.note)
    refilling = Periodic(1.0, wiring.refill.step)
    watch = PersistenceWatch([wiring.redis, *wiring.partition_clients])
    persisting = Periodic(PERSISTENCE_EVERY_S, watch.step)
    passing_on = [Periodic(PASS_ON_EVERY_S, held.step) for held in wiring.held_events]
    with running(wiring, "dispatcher") as stop, watching(wiring, stop):
        with suppress(Transient):
            watch.step()  # a full disk keeps the next lines waiting
        for prepare in (wiring.inbox.prepare, wiring.low_priority_inbox.prepare):
            retrying(stop, prepare, wiring.outage_tracker)
        # entries that a predecessor left: each home has only one dispatcher
        leftovers = Once(lambda: recover(0))
        run_steps(
            stop,
            wiring.outage_tracker,
            dispatch,
            leftovers,
            Once(lambda: warn_of_risks(wiring)),
            keeping,
            recovering,
            following,
            verifying,
            hastening,
            queueing,
            sending,
            following_words,
            refilling,
            replaying,
            looking,
            beating,
            persisting,
            *passing_on,
        )


def warn_of_risks(wiring: Wiring) -> None:
    """Log what a restart of Redis would lose, as it is configured. Raises ``StoreUnavailable``."""
    for risk in risks([wiring.redis, *wiring.partition_clients]):
        log.warning("redis may lose data", reason=risk)
