"""Ends every stage: stores the results of objects, and sends the others to the next stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Literal

import structlog

from tasks.message_parts import Fault, Judgement, ObjectRef, Revision
from tasks.messages import Batch, Scored, Submitted
from workers.broker.publisher import Publisher
from workers.lifecycle.composing import composed, holding
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import EventInbox
from workers.lifecycle.ledger import Ledger, TakenBack
from workers.lifecycle.outcomes import Accepted, Before, done, failed
from workers.lifecycle.record import Error, Record, Segmentation
from workers.lifecycle.record_reports import recorded
from workers.lifecycle.record_writer import CHANGED
from workers.lifecycle.statements import read
from workers.lifecycle.stored_record import readable
from workers.redis.script_calls import Command
from workers.settings.settings import SEGMENTATION, STAGES
from workers.stages import tally
from workers.stages.unusable import Unusable
from workers.telemetry.origin import of_request

log = structlog.get_logger()

NOTHING = Judgement()
ANNOUNCED_S = 300.0  # until an object is looked at again whose event has not been taken in


class Handover:
    """Updates the ledger and fills the queues for the stages. Raises ``StoreUnavailable``, ``BrokerUnavailable``."""

    def __init__(
        self,
        ledger: Ledger,
        publisher: Publisher,
        inbox: EventInbox,
        late: Callable[[ObjectRef], None],
        deadline_s: float,
        clock: Callable[[], float],
    ) -> None:
        """``late``: called for an object whose segmentation ended when it was no longer wanted."""
        self._ledger = ledger
        self._publisher = publisher
        self._inbox = inbox
        self._late = late
        self._deadline_s = deadline_s
        self._clock = clock

    def accept(self, stage: str, batch: Batch, *, begin: bool, also: Sequence[Command] = ()) -> Accepted:
        """Record that a stage works on these objects. Returns those that are still wanted.

        ``begin``: this is the first attempt for this message, so an attempt is counted.
        ``also``: commands for the same round trip.
        """
        now = self._clock()
        deadline = now + self._deadline_s
        answers = self._ledger.advance(
            batch.objects, batch.revision, stage, deadline, now=now, begin=begin, also=also,
            read_before=stage == STAGES[-1],
        )  # fmt: skip
        return {ref.id: at for ref, at in zip(batch.objects, answers, strict=True) if at is not None}

    def go_on(self, ref: ObjectRef, stage: str) -> None:
        """Extend the deadline of an object while a long operation makes progress."""
        self._ledger.extend(ref, stage, self._clock() + self._deadline_s)

    def fail(
        self,
        batch: Batch,
        faults: Sequence[Fault],
        accepted: Accepted,
        state: Literal["failed", "skipped"] = "failed",
    ) -> None:
        """Write records of objects that cannot be tagged, or are skipped."""
        now, began = self._clock(), time.time()
        self._ledger.finish(list(failed(faults, batch, now, accepted, state)), now)
        tally.current().add(state, len(faults), [fault.code for fault in faults])
        for fault in faults:
            (log.info if state == "skipped" else log.warning)(
                state, object=fault.object.id, code=fault.code, reason=fault.reason, **of_request(fault.object)
            )
            recorded(fault.object, state, began, fault.code)

    def settle(self, batch: Batch, unusable: Unusable, accepted: Accepted) -> None:
        """Write the records of objects that are no usable image, and come back to those that may become one."""
        self.announce(unusable.changed, batch.revision)
        for ref, pause, reason in unusable.waiting:
            log.info("looked at again", object=ref.id, after_s=round(pause, 1), reason=reason, **of_request(ref))
            self.postpone([ref], batch.revision, pause, reason)
        self.fail(batch, unusable.failed, accepted)
        self.fail(batch, unusable.skipped, accepted, "skipped")

    def finish(self, batch: Scored, accepted: Accepted, drawn: Segmentation | None = None) -> None:
        """Write the records of tagged objects.

        An object whose requested segmentation is not ``drawn`` is sent to the segmentation queue instead. ``drawn``:
        the segmentation of the only object of the batch.
        """
        if drawn is None:
            batch = self._finish_unsegmented(batch, accepted)
        if drawn is None:  # a request that came since is met by the ledger, which then refuses the record
            methods = [accepted[ref.id].method if ref.id in accepted else "" for ref in batch.objects]
        else:
            methods = self._ledger.segmentation_methods(batch.objects)
        fits = drawn if drawn is not None and methods[0] else None  # otherwise the request was withdrawn
        have = fits.method if fits else ""
        ready = batch.only([place for place, method in enumerate(methods) if method == have])
        now, began = self._clock(), time.time()
        answers = self._write(ready, list(done(ready, now, accepted, fits)), accepted, now)
        if answers:
            written = answers.count("written")
            tally.current().add("done", written)
            log.debug("done", objects=written, late=len(answers) - written)
        ended = {ref.id: answer for ref, answer in zip(ready.objects, answers, strict=True) if answer != "refused"}
        for ref in ready.objects:
            if ended.get(ref.id) == "written":
                recorded(ref, "done", began)
        for place, ref in enumerate(batch.objects):
            if ref.id not in ended and not self._segment(batch.only([place])) and drawn is not None:
                self._late(ref)

    def _finish_unsegmented(self, batch: Scored, accepted: Accepted) -> Scored:
        """Finish those whose segmentation is given up. Returns the others."""
        given_up = {
            place: Segmentation(method=at.method, error=at.unsegmented)
            for place, ref in enumerate(batch.objects)
            if (at := accepted.get(ref.id)) is not None and at.method and at.unsegmented is not None
        }
        if not given_up:
            return batch
        for place, segmentation in given_up.items():
            self.finish(batch.only([place]), accepted, segmentation)
        return batch.only([place for place in range(len(batch.objects)) if place not in given_up])

    def _write(self, batch: Scored, records: Sequence[Record], accepted: Accepted, now: float) -> list[str]:
        """Write records with what people and exemplars say of the objects.

        Returns for each ``written``, ``refused``, or ``outdated``: another result was written meanwhile. Its message
        came twice, and whatever the ledger waits for now was begun later.
        """
        judgements = batch.judgements or (NOTHING,) * len(records)
        hashes = batch.hashes or (None,) * len(records)
        answers = [CHANGED] * len(records)
        accepted_with = [accepted[record.id].before if record.id in accepted else None for record in records]
        read_first = accepted_with
        while left := [place for place, answer in enumerate(answers) if answer == CHANGED]:
            known_before = [one for place in left if (one := read_first[place]) is not None]
            read_first = [None] * len(records)  # what has changed is read again
            if len(known_before) < len(left):
                known_before = self._ledger.before([records[place].id for place in left])
                for place, known in zip(left, known_before, strict=True):
                    if (one := accepted_with[place]) is not None and _written_at(one) != _written_at(known):
                        answers[place] = "outdated"
                known_before = [
                    one for place, one in zip(left, known_before, strict=True) if answers[place] == CHANGED
                ]
                left = [place for place in left if answers[place] == CHANGED]
            complete = [
                composed(record, holding(read(known.said), record.etag, hashes[place]), judgements[place])
                for place, known in zip(left, known_before, strict=True)
                if (record := records[place])
            ]
            for place, answer in zip(left, self._ledger.finish_said(complete, known_before, now), strict=True):
                answers[place] = answer
        return answers

    def not_segmented(self, batch: Scored, accepted: Accepted, error: Error) -> None:
        """Write the record of the only object of a batch. It has tags, but its segmentation failed."""
        (method,) = self._ledger.segmentation_methods(batch.objects)
        self.finish(batch, accepted, Segmentation(method=method, error=error) if method else None)

    def hand_on(self, stage: str, batch: Batch) -> None:
        """Send a batch to the queue of the next stage, unless it is empty."""
        if batch.objects:
            if stage != SEGMENTATION:  # for which the ledger was told before
                self._ledger.put_on(stage, batch.objects, batch.revision, self._clock())
            self._publisher.send(stage, batch)
            tally.current().add(f"sent to {stage}", len(batch.objects))

    def retry(self, stage: str, batch: Batch, pause: float, retries: int) -> None:
        """Put a message that was begun on the end of its queue, to be tried again after ``pause`` seconds."""
        self._ledger.put_on(stage, batch.objects, batch.revision, self._clock(), "back")
        self._publisher.send(stage, batch, pause=pause, retries=retries)

    def hold_back(self, batch: Batch, reason: str, *, begun: bool = True) -> None:
        """Give these objects a new deadline while a service is unavailable. No attempt is counted.

        ``begun``: whether that of this message was counted.
        """
        back: TakenBack = "begun" if begun else "none"
        self.postpone(batch.objects, batch.revision, self._deadline_s, reason, own=False, back=back)

    def postpone(
        self, objects: Sequence[ObjectRef], revision: Revision, pause: float, reason: str, *, own: bool = True,
        back: TakenBack = "begun",
    ) -> None:  # fmt: skip
        """Have the keeper submit these objects again after ``pause`` seconds. ``own``, ``back``: as in the ledger."""
        now = self._clock()
        self._ledger.postpone(objects, revision, now + pause, reason, now=now, own=own, back=back)
        tally.current().add("postponed", len(objects))

    def tag_again(self, refs: Sequence[ObjectRef]) -> None:
        """Have these objects tagged again, once more if they are in progress."""
        self.append_events([ObjectEvent("created", ref.bucket, ref.key, force=True) for ref in refs])

    def blame(self, objects: Sequence[ObjectRef], revision: Revision, how: str, *, blamed: bool) -> None:
        """A process ended while it worked on these objects, and perhaps on others: each is tried again alone.

        ``blamed``: on the only one of them, whose attempt counts; the keeper takes it at once. Otherwise it is not
        known which was to blame, so no attempt counts.
        """
        deadline = self._clock() + (0 if blamed else self._deadline_s)
        found = set(self._ledger.crashed(objects, revision, how, deadline, blamed=blamed))
        left = [ref for ref in objects if ref.id in found]
        if left and not blamed:
            self.split(Submitted(objects=tuple(left), revision=revision))

    def pardon(self, objects: Sequence[ObjectRef], revision: Revision, reason: str) -> None:
        """The model fails for every object: what was counted against these was not their fault."""
        self.postpone(objects, revision, self._deadline_s, reason, own=False, back="one")

    def announce(self, changed: Sequence[tuple[ObjectRef, ObjectEvent]], revision: Revision) -> None:
        """Append events of objects that have another version or are gone, for which their stage can do nothing more.

        The objects wait for the dispatcher to take them in. However long the inbox is, no attempt counts. It may also
        leave an event out, of a key that is not followed any more: such an object is given up in the end.
        """
        self.append_events([event for _, event in changed])
        if changed:
            refs = [ref for ref, _ in changed]
            self.postpone(refs, revision, ANNOUNCED_S, "it was overwritten or removed; its event waits")

    def append_events(self, events: Sequence[ObjectEvent]) -> None:
        """Append events to the inbox."""
        if events:
            self._inbox.append(events)

    def submit_again(self, batch: Batch) -> None:
        """Have the dispatcher submit these objects again, for the captions that are active at that time."""
        tally.current().add("submitted again", len(batch.objects))
        self._inbox.append(
            [
                ObjectEvent(
                    "created", ref.bucket, ref.key, ref.etag, ref.size, ref.version_id, force=True, origin=ref.origin
                )
                for ref in batch.objects
            ]
        )

    def split(self, batch: Batch) -> None:
        """Submit each object of a batch in a message of its own."""
        tally.current().add("sent again, each alone", len(batch.objects))
        self._ledger.put_on(STAGES[0], batch.objects, batch.revision, self._clock(), "again")
        for ref in batch.objects:
            self._publisher.send("embedding", Submitted(objects=(ref,), revision=batch.revision))

    def _segment(self, alone: Scored) -> bool:
        """Send an object to the segmentation queue if it is still wanted. Returns whether it was sent."""
        now = self._clock()
        (accepted,) = self._ledger.advance(
            alone.objects, alone.revision, SEGMENTATION, now + self._deadline_s, now=now, handed=True
        )
        if accepted is not None:
            self.hand_on(SEGMENTATION, alone)
        else:
            tally.current().add("not wanted any more", 1)
        return accepted is not None


def _written_at(before: Before) -> float | None:
    """When the record was written; what people say later does not change that."""
    head, _ = readable(before.record) if before.record else (None, [])
    return None if head is None else head.at
