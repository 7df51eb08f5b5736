"""The ledger: every accepted object without a final record, and the only place that writes records.

The broker may lose, repeat or reorder messages; the ledger does not. An object is entered once per version. It leaves
the ledger only by a final record, by being removed from the bucket, or while its removal is held
(``workers.dispatch.interrupted``). All changes are Lua scripts and therefore
atomic (see ``workers/redis/keys.py`` for the keys and ``workers/redis/scripts`` for the rules). Every method raises
``StoreUnavailable`` when Redis is unavailable, and every method may be repeated.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any, Literal

import msgspec
from redis.exceptions import NoPermissionError

from tasks.message_parts import ObjectRef, Revision
from vectordb.decoders import from_msgpack
from workers.lifecycle.deadlines import LONGEST_S, whole
from workers.lifecycle.ledger_faults import LedgerFaults
from workers.lifecycle.outcomes import Acceptance
from workers.lifecycle.queued_origin import packed_origin
from workers.lifecycle.record import Error
from workers.lifecycle.record_writer import AT_ONCE, before_of, token
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys
from workers.redis.script_calls import Command, call_together
from workers.settings.settings import SEGMENTATION, STAGES

ALL_STAGES = (*STAGES, SEGMENTATION)
TakenBack = Literal["begun", "none", "one"]

Sent = Literal["on", "again", "back"]
"""How objects come to a queue: from the stage before, a second time, or to its end by who has begun with them."""


@dataclass(frozen=True)
class Arrival:
    """What the dispatcher knows about one object. ``verified``: seen in the bucket, not only reported by an event.

    ``rule``: how the settings want it segmented, or empty. ``from_queue``: it comes from the segmentation queue.
    ``received``: when its event came to the inbox, in Unix seconds.
    """

    ref: ObjectRef
    sequence: str = ""
    verified: bool = False
    force: bool = False
    rule: str = ""
    from_queue: bool = False
    received: float | None = None


@dataclass(frozen=True)
class Overdue:
    """An object whose deadline has passed. ``attempts``: how often a worker started it.

    ``fault_since``: since when it has faults of its own, without an outage between them, in Unix seconds. ``crash``:
    how the process ended that last worked on it and did not live on. ``segmented``: it has tags, and is to be
    segmented. ``queue``: of its last message, which was put there ``put_at``; ``None`` if a worker has begun with it.
    """

    ref: ObjectRef
    revision: str
    stage: str
    attempts: int
    accepted_at: float
    fault: str | None
    fault_since: float | None = None
    crash: str | None = None
    segmented: bool = False
    queue: str = ""
    put_at: float | None = None


class _StoredRef(ObjectRef, frozen=True, omit_defaults=True, forbid_unknown_fields=False):
    """An object as an entry of the ledger has it, perhaps with fields of a newer release."""


@dataclass(frozen=True)
class Waiting:
    """Numbers of objects. ``queued``: in progress, without those to be segmented, which are ``segmenting``.

    ``segments``: on the segmentation queue. ``low_priority``: events in the low-priority inbox.
    """

    queued: int
    segmenting: int
    segments: int
    low_priority: int


class Ledger(LedgerFaults):
    """Enters, advances, finishes and removes objects, and finds overdue ones."""

    def __init__(self, client: Client, keys: Keys, feed_length: int) -> None:
        super().__init__(client, keys, feed_length)
        self._enter = self._script("counting", "records", "enter")
        self._advance = self._script("counting", "advance")
        self._overdue = self._script("counting", "overdue")
        self._postpone = self._script("counting", "postpone")
        self._put_on = self._script("counting", "put_on")
        self._go_on = self._script("go_on")
        self._tag_again = self._script("counting", "tag_again")

    def enter(self, arrivals: Sequence[Arrival], revision: Revision, now: float, deadline: float) -> list[str]:
        """Accept objects and return each one's outcome. Send only ``entered``, ``known`` and ``again`` (forced) ones.

        ``known``: entered; this version has been tagged before, so that its vector may be in the index of images.
        ``afterwards``: forced while a worker may have begun with it, so it is tagged once more when it is finished.
        ``waiting``: the object waits in ``Keys.segmentation_queue`` to be segmented.
        """
        k, calls = self._keys, []
        for start in range(0, len(arrivals), AT_ONCE):
            keys = [*k.counting, k.ledger, k.segmenting, k.segmentation_queue, k.segmentation_queue_forced]
            keys += [k.segmentation_queue_origins, k.low_priority_inbox, k.low_priority_once, k.retag_marks]
            args: list[Any] = [token(revision), now, whole(deadline, now)]
            for a in arrivals[start : start + AT_ONCE]:
                oid = a.ref.id
                keys += [k.entry(oid), k.record(oid), k.segmentation_request(oid)]
                args += [raw(oid), a.ref.etag, a.sequence, msgspec.msgpack.encode(a.ref), int(a.verified),
                         int(a.force), a.rule, int(a.from_queue), packed_origin(a.ref.origin)]  # fmt: skip
            calls.append((keys, args))
        with translated():
            return [text(answer) for page in call_together(self._redis, self._enter, calls) for answer in page]

    def advance(
        self,
        refs: Sequence[ObjectRef],
        revision: Revision,
        stage: str,
        deadline: float,
        *,
        now: float,
        begin: bool = False,
        handed: bool = False,
        also: Sequence[Command] = (),
        read_before: bool = False,
    ) -> list[Acceptance | None]:
        """Extend deadlines. Returns how each object was accepted, ``None`` for objects not in the ledger.

        ``begin``: count an attempt. ``handed``: the object is only put on the stage's queue; see ``extend``.
        ``also``: commands that are sent in the same round trip. ``read_before``: read what ``finish_said`` needs.
        """
        k, calls = self._keys, []
        for start in range(0, len(refs), AT_ONCE):
            part = refs[start : start + AT_ONCE]
            keys = [*k.counting, k.ledger, k.segmenting, *(k.entry(ref.id) for ref in part)]
            args: list[Any] = [token(revision), stage, whole(deadline, now), int(begin), now, int(handed),
                               msgspec.msgpack.encode(ALL_STAGES)]  # fmt: skip
            calls.append((keys, [*args, *(one for ref in part for one in (raw(ref.id), ref.etag))]))
        reads = self._asking([ref.id for ref in refs]) if read_before else []
        with translated():
            answers = call_together(self._redis, self._advance, calls, [*also, *reads])[len(also) :]
        before = map(before_of, answers[: len(reads)]) if reads else repeat(None)
        advanced = chain.from_iterable(answers[len(reads) :])
        return [
            None
            if answer is None
            else Acceptance(
                float(answer[0]),
                text(answer[1]),
                known,
                _entered(answer[2:-3]),
                bool(answer[-3]),
                from_msgpack(answer[-2], Error) if answer[-2] else None,
                float(answer[-1]) if answer[-1] else None,
            )
            for answer, known in zip(advanced, before, strict=False)
        ]

    def overdue(self, now: float, deadline: float, limit: int = 100) -> list[Overdue]:
        """Claim objects whose deadline has passed; their next deadline is ``deadline``."""
        return self._claim(now, deadline, limit, untroubled=False)

    def overdue_by(self, at: float, deadline: float) -> list[Overdue]:
        """Claim all objects whose deadline is at or before ``at``, except those with a fault and in segmentation.

        ``at`` is rounded up as deadlines are, so that none is missed that was given for ``at`` or earlier.
        """
        return self._claim(math.ceil(at), deadline, -1, untroubled=True)

    def _claim(self, at: float, deadline: float, limit: int, *, untroubled: bool) -> list[Overdue]:
        with translated():
            taken = self._overdue(
                keys=[*self._keys.counting, self._keys.ledger, self._keys.segmenting],
                args=[self._keys.entry(""), at, deadline, limit, int(untroubled), max(at, deadline) + LONGEST_S],
            )
        return [
            Overdue(
                ObjectRef(*msgspec.structs.astuple(from_msgpack(ref, _StoredRef))), text(revision), text(stage),
                int(attempts), float(accepted), text(fault) or None,
                float(since) if since else None, text(crash) or None, bool(segmented),
                text(queue), float(put_at) if put_at else None,
            )
            for _, ref, revision, stage, attempts, accepted, fault, since, crash, segmented, queue, put_at in taken
        ]  # fmt: skip

    def put_on(
        self, queue: str, refs: Sequence[ObjectRef], revision: Revision, now: float, sent: Sent = "on"
    ) -> None:
        """Record that these objects are put on the queue of a stage. ``sent``: see ``Sent``."""
        k, calls = self._keys, []
        for start in range(0, len(refs), AT_ONCE):
            part = refs[start : start + AT_ONCE]
            args = [
                token(revision),
                queue,
                now,
                sent,
                *(one for ref in part for one in (raw(ref.id), ref.etag)),
            ]
            calls.append(([*k.counting, *(k.entry(ref.id) for ref in part)], args))
        with translated():
            call_together(self._redis, self._put_on, calls)

    def postpone(
        self, refs: Sequence[ObjectRef], revision: Revision, until: float, fault: str, *, now: float,
        own: bool = True, back: TakenBack = "begun",
    ) -> None:  # fmt: skip
        """Retry these objects after ``until``, because ``fault`` is temporary.

        ``own``: a fault of these objects, for which they are given up in the end; otherwise a service is away.
        ``back``: which attempt is taken back: that in progress, ``none`` (it is not counted), or ``one`` at any rate.
        """
        k = self._keys
        first, last = (*k.counting, k.ledger, k.segmenting), (token(revision), until, fault, now, int(own), back)
        calls = [((*first, k.entry(ref.id)), (raw(ref.id), ref.etag, *last)) for ref in refs]
        with translated():
            call_together(self._redis, self._postpone, calls)

    def tag_again(self, revision: Revision | None = None) -> int:
        """Have objects in progress tagged once more afterwards: something has changed for all. Returns their number.

        Not of those with which no worker has begun, unless they wait for another revision than this one.
        """
        k, args = self._keys, [self._keys.entry(""), "" if revision is None else token(revision)]
        with translated():
            return int(self._tag_again(keys=[*k.counting, k.ledger], args=args))

    def segmentation_methods(self, refs: Sequence[ObjectRef]) -> list[str]:
        """The segmentation method of each object; empty if it is not to be segmented."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for ref in refs:
                pipe.hget(self._keys.entry(ref.id), "segment")
            return [text(method or b"") for method in pipe.execute()]

    def extend(self, ref: ObjectRef, stage: str, deadline: float) -> None:
        """Extend the deadline of a long-running object, and of those behind it on the queue."""
        self.extend_after(ref, stage, deadline, "")

    def extend_after(self, ref: ObjectRef, stage: str, deadline: float, queued_at: str) -> str:
        """``extend``; returns when the object was put on the queue, empty if it is not in this stage any more.

        ``queued_at``: the same, if the object is in another partition.
        """
        args = [self._keys.entry(""), raw(ref.id), stage, deadline, queued_at]
        with translated():
            return text(self._go_on(keys=[self._keys.ledger, self._keys.segmenting], args=args) or b"")

    def segmenting(self) -> int:
        """Number of objects in progress that are to be segmented."""
        with translated():
            return int(self._redis.scard(self._keys.segmenting))

    def in_flight(self) -> int:
        """Number of accepted objects without a final record."""
        with translated():
            return int(self._redis.zcard(self._keys.ledger))

    def waiting(self) -> Waiting:
        """What the dispatcher looks at before it reads, in one round trip."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            pipe.zcard(self._keys.ledger)
            pipe.scard(self._keys.segmenting)
            pipe.zcard(self._keys.segmentation_queue)
            pipe.xlen(self._keys.low_priority_inbox)
            accepted, segmenting, segments, low_priority = map(int, pipe.execute())
        return Waiting(max(0, accepted - segmenting), segmenting, segments, low_priority)

    def server_run(self) -> str:
        """Identifies the run of the Redis server, which changes with a restart. Empty if it is not reported."""
        with translated(), contextlib.suppress(NoPermissionError):
            return str(self._redis.info("server").get("run_id", ""))
        return ""


def _entered(times: Sequence[bytes]) -> dict[str, float]:
    """When each stage was entered, of those that were."""
    return {stage: float(at) for stage, at in zip(ALL_STAGES, times, strict=True) if at}
