"""The keeper: makes sure that every object in the ledger is finished.

It finds objects whose deadline has passed and applies ``workers.lifecycle.policy``: send again alone, wait while a
stage consumes nothing, or end as ``dead``. It sends probes to silent stages, because a running process that consumes
nothing is not healthy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
import structlog

from tasks.message_parts import Fault, ObjectRef, Revision
from tasks.messages import Submitted
from vectordb.errors import WildtagError
from workers.broker.publisher import Sender
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import EventInbox
from workers.lifecycle.ledger import Ledger, Overdue
from workers.lifecycle.outcomes import Acceptance, failed
from workers.lifecycle.policy import Dead, GiveUpSegmentation, Wait, after_deadline
from workers.lifecycle.record import Error
from workers.lifecycle.record_reports import recorded
from workers.redis.connection import StoreUnavailable
from workers.redis.heartbeats import Health
from workers.settings.dependencies import MODEL
from workers.settings.settings import SEGMENTATION, STAGES
from workers.stores.store import ObjectStore
from workers.telemetry.origin import of_request

log = structlog.get_logger()

SETTLED_S = 1.0  # after an outage of Redis, until all workers have reconnected and taken the messages on the queues


class Keeper:
    """Checks the ledger once per ``step``. Several keepers may run at once. May raise ``Transient``."""

    def __init__(
        self,
        ledger: Ledger,
        inbox: EventInbox,
        health: Health,
        publisher: Sender,
        revision: Callable[[], Revision],
        *,
        stages: Sequence[str],
        deadline_s: float,
        max_attempts: int,
        give_up_s: float,
        clock: Callable[[], float] = time.time,
        away: Callable[..., str | None] = lambda *_: None,
        store: ObjectStore | None = None,
    ) -> None:
        """``away``: why objects wait for a service and need no action by the keeper; see ``OutageReport.common``.

        ``store``: has what owners wrote beside objects that are given up.
        """
        self._away = away
        self._store = store
        self._ledger = ledger
        self._inbox = inbox
        self._health = health
        self._publisher = publisher
        self._revision = revision
        self._stages = stages
        self._deadline_s = deadline_s
        self._max_attempts = max_attempts
        self._give_up_s = give_up_s
        self._clock = clock
        self._probed: dict[str, float] = {}
        self._cut_off = False
        self._heard_from = 0.0  # when this process could last receive heartbeats
        self._server: str | None = None  # the run of the Redis server
        self._back_since: float | None = None  # the end of an outage whose lost messages are not resent yet

    def step(self) -> int:
        """Process overdue objects and probe silent stages. Returns the number of overdue objects."""
        try:
            return self._step()
        except StoreUnavailable:
            self._cut_off = True
            raise

    def _step(self) -> int:
        if not self._ledger.in_flight():
            return 0
        now = self._clock()
        self._notice_outage(now)
        silent = self._probe(now)
        if self._back_since is not None and now - self._back_since >= SETTLED_S and self._queues_are_empty():
            self._resend_lost(self._back_since, now)
            self._back_since = None
        taken = self._ledger.overdue(now, now + self._deadline_s)
        away = self._away() if taken else None
        # models are those of one worker, or of one stage: whether others take all messages shows on the queues
        models = self._models_away() if away and self._away(MODEL) is None else {}
        behind = _Behind(self._publisher, self._health, self._deadline_s / 2, now)
        for overdue in taken:
            # other objects do not wait for the segmentation stage
            own = silent if overdue.stage == SEGMENTATION else silent - {SEGMENTATION}
            reason = None if models.get(overdue.stage in STAGES) is False else away
            self._process(overdue, now, consuming=not own, away=reason, behind=behind)
        return len(taken)

    def _models_away(self) -> dict[bool, bool]:
        """Whether messages wait that broken models may hold up: on the queues of the stages, or on any (``False``).

        What is overdue although none waits has lost its message: a worker that holds one extends its deadline.
        """
        held = not self._queues_are_empty()
        return {True: held, False: held or self._publisher.queued(SEGMENTATION) > 0}

    def _notice_outage(self, now: float) -> None:
        server = self._ledger.server_run()
        if self._cut_off:  # no heartbeats could be received either
            self._heard_from = now
        if self._cut_off or (self._server is not None and server != self._server):
            self._back_since = now
        self._cut_off, self._server = False, server

    def _queues_are_empty(self) -> bool:
        return not any(self._publisher.queued(stage) for stage in self._stages)

    def _resend_lost(self, back: float, now: float) -> None:
        """Resend objects without progress since ``back``: the queues are empty, so their messages may be lost.

        A worker may still hold one of them. Objects that wait after a fault, are being segmented or were started too
        often keep their deadlines.
        """
        for overdue in self._ledger.overdue_by(back + self._deadline_s, now + self._deadline_s):
            if overdue.attempts < self._max_attempts:
                log.info("message lost in an outage", object=overdue.ref.id, stage=overdue.stage, then="resend",
                         **of_request(overdue.ref))  # fmt: skip
                self._resend(overdue)

    def _probe(self, now: float) -> set[str]:
        """The stages without progress for a whole deadline. Probes stages that were silent for a third of it."""
        beats = self._health.beats()
        lifetime = self._deadline_s / 3
        stages = (*self._stages, SEGMENTATION) if self._ledger.segmenting() else self._stages
        for stage in stages:
            if now - max(beats.get(stage, 0.0), self._probed.get(stage, 0.0)) > lifetime:
                self._publisher.probe(stage, lifetime)
                self._probed[stage] = now
        return {stage for stage in stages if now - max(beats.get(stage, 0.0), self._heard_from) >= self._deadline_s}

    def _process(
        self, overdue: Overdue, now: float, *, consuming: bool, away: str | None, behind: Callable[[Overdue], bool]
    ) -> None:
        action = after_deadline(
            overdue, now, consuming=consuming, max_attempts=self._max_attempts, give_up_s=self._give_up_s, away=away,
            behind=away is None and behind(overdue),
        )  # fmt: skip
        if isinstance(action, Wait):
            if away and overdue.fault_since is not None:  # it cannot have been tried while the service is away
                revision = _submitted(overdue).revision
                until = now + self._deadline_s
                self._ledger.postpone([overdue.ref], revision, until, overdue.fault or away, now=now, own=False)
            return
        log.warning("object overdue", object=overdue.ref.id, stage=overdue.stage, attempts=overdue.attempts,
                    then=type(action).__name__.lower(), **of_request(overdue.ref))  # fmt: skip
        if isinstance(action, GiveUpSegmentation):
            log.warning("segmentation given up", object=overdue.ref.id, code=action.code, reason=action.reason,
                        then="tagged once more, without it", **of_request(overdue.ref))  # fmt: skip
            error = Error(action.code, action.reason)
            self._ledger.give_up_segmentation(overdue.ref, overdue.revision, error)
            self._resend(overdue)
        elif isinstance(action, Dead):
            fault = Fault(self._described(overdue.ref), action.code, action.reason)
            accepted = {overdue.ref.id: Acceptance(overdue.accepted_at)}
            self._ledger.finish(list(failed([fault], _submitted(overdue), now, accepted, "dead")), now)
            recorded(overdue.ref, "dead", time.time(), action.code)
        else:
            self._resend(overdue)

    def _described(self, ref: ObjectRef) -> ObjectRef:
        """The object with its user metadata, if the store can be asked."""
        info = None
        if self._store is not None:
            with suppress(WildtagError):
                info = self._store.stat(ref.bucket, ref.key)
        if info is None or info.ref.etag != ref.etag:
            return ref
        return msgspec.structs.replace(ref, user_metadata=info.user_metadata)

    def _resend(self, overdue: Overdue) -> None:
        ref, submitted = overdue.ref, _submitted(overdue)
        if submitted.revision.space_id == self._revision().space_id:
            self._ledger.put_on(STAGES[0], [ref], submitted.revision, self._clock(), "again")
            self._publisher.send(STAGES[0], submitted)
        else:  # the encoder was changed meanwhile: enter the object again under the current revision
            event = ObjectEvent("created", ref.bucket, ref.key, ref.etag, ref.size, ref.version_id, origin=ref.origin)
            self._inbox.append([event])


def _submitted(overdue: Overdue) -> Submitted:
    space_id, _, captions_version = overdue.revision.partition("/")
    return Submitted(objects=(overdue.ref,), revision=Revision(space_id, captions_version))


class _Behind:
    """Whether the message of an object may still wait in its queue. Queues are read once.

    It does if messages are there, and none has been begun that was put on the queue ``slack_s`` after it. A message
    of the time before the clock was set back was put there before all that have been put there since.
    """

    def __init__(self, publisher: Sender, health: Health, slack_s: float, now: float) -> None:
        self._publisher = publisher
        self._health = health
        self._slack_s = slack_s
        self._now = now
        self._queues: dict[str, tuple[bool, float | None]] = {}

    def __call__(self, overdue: Overdue) -> bool:
        queue = overdue.queue
        if overdue.put_at is None:
            return False
        if queue not in self._queues:
            self._queues[queue] = self._publisher.queued(queue) > 0, self._health.taken(queue)
        waiting, taken = self._queues[queue]
        if not waiting or taken is None:
            return waiting
        return taken < overdue.put_at + self._slack_s and not taken <= self._now < overdue.put_at
