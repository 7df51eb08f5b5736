"""The dispatcher: takes events from the inbox, enters objects in the ledger and sends them in batches.

The order guarantees that nothing is lost: read, check, enter, publish, acknowledge. After a crash at any point the
events are read again, and repeating a step that was already done has no effect.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import structlog

from tasks.message_parts import Revision
from tasks.messages import Submitted
from vectordb.errors import Permanent, Transient
from workers.broker.publisher import Sender
from workers.dispatch.arrival_reports import report, with_origin, with_traces
from workers.dispatch.arrivals import arrival_of, asks, report_unverified, resolved
from workers.dispatch.event_filter import EventFilter
from workers.dispatch.low_priority import KNOWN_AT_ONCE, Window
from workers.dispatch.pace import Pace
from workers.dispatch.removals import RemovalGuard
from workers.dispatch.same_versions import Adopt, nothing
from workers.events.sink import EventSink
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import EventInbox, Inbox
from workers.lifecycle.ledger import Arrival, Ledger, Waiting
from workers.outages.tracker import OutageTracker
from workers.redis.connection import StoreUnavailable
from workers.redis.partition_faults import partition_of
from workers.redis.streams import Leftovers, added_at
from workers.segmentation.artifacts import Artifacts
from workers.segmentation.queue import SegmentQueue
from workers.settings.dependencies import BEGUN_WITH, REDIS, STORE
from workers.stores.lookup import NotAsked, look
from workers.stores.store import ObjectForbidden, ObjectStore

log = structlog.get_logger()

AGAIN_BLOCK_MS = 20
SEGMENTS_BLOCK_MS = 100
GATHER_S = 0.005
ENTERED = frozenset({"entered", "known"})
SENT = ENTERED | {"again"}
RESENT = SENT | {"duplicate"}


class Dispatcher:
    """Turns inbox events into batches for the first stage, in calls of ``step``. May raise ``Transient``.

    ``revision`` is read for every batch, because the captions may be switched at any time. ``followed`` decides
    whether a key is tagged, ``rule`` how it is segmented if no client requests it. The ``low_priority_inbox`` is read
    when the inbox is empty and a ``Window`` has room, the segmentation queue when ``segments`` allows it.
    ``adopt``: see ``workers.dispatch.same_versions``.
    """

    def __init__(
        self,
        inbox: EventInbox,
        low_priority_inbox: EventInbox,
        segments: SegmentQueue,
        ledger: Ledger,
        store: ObjectStore,
        artifacts: Artifacts,
        publisher: Sender,
        event_sink: EventSink,
        events: EventFilter,
        guard: RemovalGuard,
        revision: Callable[[], Revision],
        followed: Callable[[str], bool],
        rule: Callable[[str], str],
        pace: Pace,
        consumer: str,
        clock: Callable[[], float] = time.time,
        outage_tracker: OutageTracker | None = None,
        adopt: Adopt = nothing,
    ) -> None:
        self._adopt = adopt
        self._outage_tracker = outage_tracker or OutageTracker(probes={STORE: lambda: None})
        self._inbox = inbox
        self._low_priority_inbox = low_priority_inbox
        self._segments = segments
        self._followed = followed
        self._rule = rule
        self._ledger = ledger
        self._store = store
        self._artifacts = artifacts
        self._publisher = publisher
        self._event_sink = event_sink
        self._events = events
        self._guard = guard
        self._revision = revision
        self._pace = pace
        self._consumer = consumer
        self._clock = clock
        self._leftovers = {part: Leftovers() for both in (inbox, low_priority_inbox) for part in both.parts}
        self._window = Window(pace.batch_max, pace.in_flight_max)

    def recover(self, idle_ms: int) -> int:
        """Process events that another dispatcher read and did not finish. Returns their number.

        Raises ``Away``, and takes none, while a service is known to be unavailable.
        """
        self._outage_tracker.refuse(REDIS, *BEGUN_WITH)
        count = 0
        with self._interrupted():
            for part in self._leftovers:
                with self._tolerated(part):
                    events = [] if part.away else part.recover(self._consumer, idle_ms, self._pace.in_flight_max)
                    self._process(part, events, recovered=True)
                    count += len(events)
        return count

    def step(self, block_ms: int = 1000) -> int:
        """Wait for events, collect a batch, send it. Returns the number of processed events.

        Reads nothing while the store or the captions are unavailable: the objects would only wait elsewhere. Events
        that were read but not finished are processed once all services are available again.
        """
        for service in BEGUN_WITH:
            if self._outage_tracker.is_active(service, probed=True) and not self._outage_tracker.wait(
                service, block_ms / 1000
            ):
                return 0
        try:
            with self._interrupted():
                return self._resume() + self._step(block_ms)
        except StoreUnavailable as exc:  # of one partition: the next step goes on with the others
            if partition_of(exc.service) is None or self._outage_tracker.register(exc) is None:
                raise
            return 0

    @contextmanager
    def _tolerated(self, part: Inbox) -> Iterator[None]:
        """Work on the events of one partition, which may be away: they are processed when it is back."""
        with part.tolerated(), self._leftovers[part].interrupted_by_faults():
            yield

    def _interrupted(self) -> ExitStack:
        """After a fault, events that were read or are in transit from Redis are processed again."""
        stack = ExitStack()
        for leftovers in self._leftovers.values():
            stack.enter_context(leftovers.interrupted_by_faults())
        return stack

    def _step(self, block_ms: int) -> int:
        waiting = self._ledger.waiting()
        segmented, in_flight = self._segment(waiting), waiting.queued
        capacity = self._pace.in_flight_max - in_flight
        if capacity <= 0:
            time.sleep(0.05)  # the queues are full: events wait in the inbox
            return segmented or 0
        again = waiting.low_priority > 0
        # few at a time, so that new events do not wait behind them
        room = min(capacity, self._window.room(in_flight)) if again else 0
        events = self._inbox.read(self._consumer, capacity, None) if room else []
        low = self._low_priority_inbox.read(self._consumer, room, None) if room and not events else []
        if low:
            self._process(self._low_priority_inbox, low, recovered=False)
            return len(low) + (segmented or 0)
        if not events:
            most = AGAIN_BLOCK_MS if again else SEGMENTS_BLOCK_MS if segmented is not None else block_ms
            events = self._inbox.read(self._consumer, capacity, min(block_ms, most))
            if events and in_flight:  # what was in progress before the wait may have ended
                in_flight = self._ledger.waiting().queued
        if not events:
            return segmented or 0
        until = time.monotonic() + self._pace.batch_wait_ms / 1000
        # on an idle system a single image gains nothing from waiting for others, which form the next batch
        while in_flight and len(events) < min(capacity, self._pace.batch_max):
            left = until - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(left, GATHER_S))  # an idle Redis ends a blocking read up to 100 ms late
            events += self._inbox.read(self._consumer, capacity - len(events), None)
        self._process(self._inbox, events, recovered=False)
        return len(events) + (segmented or 0)

    def _resume(self) -> int:
        """Process events that were read before and not finished, one page of each stream."""
        count, most = 0, self._pace.in_flight_max
        for part, leftovers in self._leftovers.items():
            if leftovers.due() and not part.away:
                with self._tolerated(part):
                    events = part.again(self._consumer, most, leftovers.after)
                    left = self._process(part, events, recovered=True)
                    leftovers.looked(events[-1][0] if len(events) == most else None, left=left)
                    count += len(events)
        return count

    def _segment(self, waiting: Waiting) -> int | None:
        """Send the next segmentation requests; ``None`` if none is waiting."""
        events = self._segments.poll(waiting)
        if events:
            arrivals, removals, left = self._look([(event.id, event) for event in events], from_queue=True)
            handled = {arrival.ref.id for arrival in arrivals} | {*removals} | left
            self._segments.drop([event.id for event in events if event.id not in handled])
            self._segments.put_off(sorted(left))
            self._send(self._segments.with_origins(arrivals), removals, events, RESENT)
        return None if events is None else len(events)

    def _process(self, inbox: EventInbox, events: Sequence[tuple[str, ObjectEvent]], *, recovered: bool) -> bool:
        """Process events; returns whether some are left because the store did not answer for them."""
        if not events:
            return False
        new, counts = self._events.new(events)
        meant = resolved(self._store, new, self._followed)
        arrivals, removals, left = self._look(meant)
        # events that were read and not finished may have been entered without being sent
        wanted = RESENT if recovered else SENT
        sent = self._send(arrivals, removals, [event for _, event in meant], wanted)
        done = [entry for entry, _ in events if entry not in left]
        self._events.mark_processed(
            [(entry, event) for entry, event in new if entry not in left], counts, inbox.finishing(done)
        )
        inbox.finish(done)
        inbox.unmark([(entry, event) for entry, event in events if event.force and entry not in left])
        if sent:
            log.info("dispatched", objects=sent, events=len(events))
        for part in inbox.parts_of(left):
            self._leftovers[part].put_off(away=self._outage_tracker.is_active(*BEGUN_WITH))
        return bool(left)

    def _send(
        self, arrivals: Sequence[Arrival], removals: Sequence[str], events: Sequence[ObjectEvent],
        wanted: Collection[str],
    ) -> int:  # fmt: skip
        """Forget removed objects, enter existing ones and send those the ledger accepts; returns their number.

        ``events``: what led to this.
        """
        now = self._clock()
        removals = self._guard.believed(removals, events)
        self._artifacts.forget(removals)  # before their records: afterwards nothing would refer to the artifacts
        # removals first: if an object has both, the plan kept only the later one
        for oid, known in zip(removals, self._ledger.remove(removals), strict=True):
            if known:
                log.info("object removed", object=oid)
        revision = self._revision()
        self._adopt([arrival.ref for arrival in arrivals])
        arrivals, accepting = with_traces(arrivals)
        answers = self._ledger.enter(arrivals, revision, now, now + self._pace.deadline_s)
        self._window.add(sum(answer in ENTERED for answer in answers))
        began = time.time()
        outcomes = [(a.ref, answer) for a, answer in zip(arrivals, answers, strict=True) if answer in wanted]
        # retrieval takes the vectors of known images from their index, and sends the others to embedding
        for stage, known, most in (("retrieval", True, KNOWN_AT_ONCE), ("embedding", False, 1)):
            refs = tuple(ref for ref, answer in outcomes if (answer == "known") is known)
            for batch in Submitted(objects=refs, revision=revision).parts(self._pace.batch_max * most):
                self._publisher.send(stage, batch)
        report(arrivals, answers, wanted, accepting, began)
        return len(outcomes)

    def _look(
        self, events: Sequence[tuple[str, ObjectEvent]], *, from_queue: bool = False
    ) -> tuple[list[Arrival], list[str], set[str]]:
        """Decide what to do for each object: the latest event counts, and removals are confirmed in the bucket.

        Also returns the entries to process later because the store did not answer for them; others do not wait for
        these. ``from_queue``: they come from the segmentation queue and are never given up.
        """
        plan: dict[str, Arrival | None] = {}
        left: set[str] = set()
        fault: Transient | None = None
        unverified: dict[str, str] = {}
        events = [(entry, event) for entry, event in events if event.kind == "removed" or self._followed(event.key)]
        seen = look(self._store, ((event.bucket, event.key) for _, event in events if asks(event)))
        for entry, event in events:
            try:
                arrival = arrival_of(event, seen)
            except Permanent as exc:
                if event.kind == "removed" and isinstance(exc, ObjectForbidden):
                    unverified[event.id] = str(exc)
                else:
                    log.warning("event ignored", object=event.id, reason=str(exc))
                continue
            except Transient as exc:
                # events for which the store was not asked, or could not answer while unavailable, are never given up
                patient = from_queue or isinstance(exc, NotAsked)
                patient = patient or self._clock() - added_at(entry) < self._pace.give_up_s
                if patient or self._outage_tracker.register(exc) is not None:
                    left.add(entry)
                    fault = exc if fault is None or isinstance(fault, NotAsked) else fault
                else:  # the sweep finds the change, if there is one
                    log.warning("event dropped", object=event.id, reason=str(exc))
                continue
            if arrival and not self._followed(event.key):
                continue  # one version was removed, and another one exists
            before = plan.get(event.id)
            if before and arrival and not arrival.verified and "" < arrival.sequence < before.sequence:
                continue  # an older version, reported late
            arrival = with_origin(arrival, before, None if from_queue else entry)
            plan[event.id] = arrival and replace(arrival, rule=self._rule(event.key), from_queue=from_queue)
        report_unverified(self._event_sink, unverified)
        if fault is not None and self._outage_tracker.register(fault) is None:
            log.warning("events postponed", events=len(left), reason=str(fault))
        return [a for a in plan.values() if a], [oid for oid, a in plan.items() if a is None], left
