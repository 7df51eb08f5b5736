"""Runs a stage on one message and handles every error.

``workers.lifecycle.policy`` chooses the action for an error; ``StageRunner`` performs it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import structlog

from tasks.encoders.devices import DeviceFailed
from tasks.message_parts import Fault, ObjectRef, Revision
from tasks.messages import Batch, Scored, of_other_release
from vectordb.errors import Transient
from workers.broker.publisher import Publisher
from workers.errors.consequences import may_be_input, of
from workers.lifecycle.outcomes import Accepted
from workers.lifecycle.policy import (
    Blame,
    Drop,
    Fail,
    Postpone,
    Requeue,
    Retry,
    Split,
    SubmitAgain,
    after_error,
    patience_for,
)
from workers.lifecycle.record import Error
from workers.monitoring.busy_time import BusyTime
from workers.monitoring.catalogue import BATCH_SIZE, STAGE_BUSY
from workers.monitoring.meter import METER
from workers.outages.tracker import OutageTracker
from workers.redis.heartbeats import Health
from workers.settings.dependencies import REDIS
from workers.settings.settings import STAGES
from workers.stages.guard import UNGUARDED, Guard
from workers.stages.handover import Handover
from workers.stages.message_reports import reported
from workers.stages.table import Stage
from workers.stages.tally import Tally, counting, current

log = structlog.get_logger()

AGAIN_S = 1.0  # seconds of work after which another heartbeat tells more than that of the beginning
LEFT_S = 1.0  # seconds that a worker rests with a message of another release, before it returns it
FOREIGN_S = 60.0  # seconds until the ledger sends its objects again, if the message is lost
BEAT_S = 5.0  # between two heartbeats of a worker that waits for a service


def end_process() -> None:
    """End this process of the pool at once. Celery replaces it."""
    sys.stdout.flush()
    os._exit(1)


@dataclass
class _Message:
    """One message of a stage, over all attempts. ``begin``: the next attempt is to be counted.

    ``begun``: the ledger knows that a stage works on it. ``delivery``: see ``Publisher.put_back``. ``service``: the
    last service that the message waited for. ``report``: called with the objects when they are known.
    """

    stage: str
    data: bytes
    retries: int
    delivery: str | None
    begin: bool
    batch: Batch | None = None
    accepted: Accepted = field(default_factory=dict)
    begun: bool = False
    service: str | None = None
    report: Callable[[Sequence[ObjectRef]], object] = lambda _: None


class StageRunner:
    """Runs the stages of one process. ``time_limit_s``: the time limit of a Celery task."""

    def __init__(
        self,
        stages: Mapping[str, Stage[Any]],
        handover: Handover,
        publisher: Publisher,
        health: Health,
        outage_tracker: OutageTracker,
        time_limit_s: float,
        end: Callable[[], None] = end_process,
        guard: Guard = UNGUARDED,
        time_limits: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """``end``: ends this process, which another one replaces. ``time_limits``: of stages that have their own."""
        self._guard = guard
        self._time_limits = time_limits
        self._end = end
        self._stages = stages
        self._handover = handover
        self._publisher = publisher
        self._health = health
        self._outage_tracker = outage_tracker
        self._time_limit_s = time_limit_s
        self._busy = {stage: BusyTime(STAGE_BUSY, stage) for stage in stages}
        self._taken: dict[str, float] = {}  # when the message of each stage that was begun last was put on its queue

    def run(self, stage: str, data: bytes, retries: int, delivery: str | None = None) -> Tally:
        """Handle one message of a stage. During an outage of a service the message is held, then tried again.

        The messages behind it stay in the queue meanwhile. ``delivery``: see ``Publisher.put_back``. Returns what
        became of its objects.
        """
        message = _Message(stage, data, retries, delivery, begin=stage == "embedding" and not retries)
        with counting() as outcome, reported(stage, outcome) as report:
            message.report = report
            self._run(message)
        return outcome

    def _run(self, message: _Message) -> None:
        began, stage = time.monotonic(), message.stage
        limit = self._time_limits.get(stage, self._time_limit_s)
        while True:
            try:
                self._try(message)
            except Exception as met:  # the policy decides; the ledger still has the objects
                exc = self._judged(message, met)
                service = self._outage_tracker.register(exc)
                patience = 0.0 if service is None else patience_for(service, stage, limit)
                if service is None or not self._outlasts(stage, service, began + patience):
                    self._after(message, exc, away=service is not None)
                    if isinstance(exc, DeviceFailed):
                        log.warning("this process ends, because only a new one may use its device again", stage=stage)
                        self._guard.leaving()
                        self._end()
                    return
                message.service = service
            else:
                if message.service is not None:
                    self._outage_tracker.end(message.service)
                return

    def _judged(self, message: _Message, error: Exception) -> Exception:
        """The error, or that of the models if they fail for every object: before one is recorded as failed."""
        action = after_error(error, len(message.batch.objects) if message.batch else 0, message.retries)
        bug = isinstance(action, Fail) and action.bug
        return self._guard.judged(message.stage, error) if bug or may_be_input(error) else error

    def _try(self, message: _Message) -> None:
        stage = self._stages[message.stage]
        first, message.batch = message.batch is None, stage.decode(message.data)
        if first:
            METER.observe(BATCH_SIZE, len(message.batch.objects), message.stage)
        message.report(message.batch.objects)
        self._guard.require(message.stage)
        began = time.monotonic()
        beat = self._health.command(message.stage, self._taken.get(message.stage))
        message.accepted = self._handover.accept(message.stage, message.batch, begin=message.begin, also=[beat])
        if put := [one.since for one in message.accepted.values() if one.since is not None]:
            self._taken[message.stage] = min(put)
        message.begin, message.begun = False, True
        current().add("not wanted any more", len(message.batch.objects) - len(message.accepted))
        crashed = any(one.crashed for one in message.accepted.values())
        held = self._guard.holding(message.stage, message.batch, alone=crashed)
        with held, self._busy[message.stage].working():
            stage.work()(message.batch, message.accepted)
        self._guard.finished(message.stage)
        if time.monotonic() - began > AGAIN_S:
            self._health.beat(message.stage)

    def _outlasts(self, stage: str, service: str, until: float) -> bool:
        """Wait for a service, sending heartbeats. Returns whether it is available again before ``until``."""
        while (left := until - time.monotonic()) > 0:
            if self._outage_tracker.wait_to_retry(service, min(left, BEAT_S)):
                return True
            if not self._outage_tracker.is_active(REDIS):
                with contextlib.suppress(Transient):
                    self._health.beat(stage)
        return False

    def _after(self, message: _Message, error: Exception, *, away: bool) -> None:  # noqa: C901 -- a case each
        batch, stage = message.batch, message.stage
        action = after_error(error, len(batch.objects) if batch else 0, message.retries, away=away)
        # transient faults are expected and get no traceback; an outage has been logged by its tracker
        (log.debug if isinstance(action, Requeue) else log.warning)(
            "fault",
            stage=stage,
            then=type(action).__name__.lower(),
            error=f"{type(error).__name__}: {error}",
            exc_info=None if of(error).passes else error,
        )
        current().say(f"{type(action).__name__.lower()} after {type(error).__name__}: {error}")
        if batch is None and (foreign := of_other_release(message.data)) is not None:
            self._leave(message, *foreign)
        if batch is None or isinstance(action, Drop):
            return
        try:
            match action:
                case Retry(pause):
                    self._handover.retry(stage, batch, pause, message.retries + 1)
                case Requeue():
                    # the object is not at fault, so attempts are not counted while it is held back
                    # before the first stage has begun with it, the attempt that the ledger knows is an earlier one
                    self._handover.hold_back(batch, str(error), begun=message.begun or stage != STAGES[0])
                    self._put_back(message, batch)
                case Postpone(pause, fault):
                    self._handover.postpone(batch.objects, batch.revision, pause, fault)
                case SubmitAgain():
                    self._handover.submit_again(batch)
                case Blame(how):
                    how = f"met {how} in {stage}, although its models work"
                    self._handover.blame(batch.objects, batch.revision, how, blamed=True)
                case Split():
                    self._handover.split(batch)
                case Fail(code, reason, _) if isinstance(batch, Scored):  # tagged; only its segmentation failed
                    self._handover.not_segmented(batch, message.accepted, Error(code, reason))
                case Fail(code, reason, _):
                    self._handover.fail(batch, [Fault(batch.objects[0], code, reason)], message.accepted)
        except Transient as exc:
            log.warning("left to the ledger", stage=stage, error=str(exc))

    def _leave(self, message: _Message, objects: Sequence[ObjectRef], revision: Revision) -> None:
        """Leave a message to a worker of the release that wrote it. No attempt is counted meanwhile."""
        time.sleep(LEFT_S)  # if there is only this worker, it gets it again
        try:
            self._handover.postpone(objects, revision, FOREIGN_S, f"a message of another release in {message.stage}")
            self._publisher.send_on(message.stage, message.data, objects)
        except Transient as exc:
            log.warning("left to the ledger", stage=message.stage, error=str(exc))

    def _put_back(self, message: _Message, batch: Batch) -> None:
        """Return the message to the head of its queue, or to the end if the broker cannot. No attempt is counted."""
        if message.delivery is None or not self._publisher.put_back(message.stage, message.delivery):
            self._publisher.send(message.stage, batch, retries=max(1, message.retries))
