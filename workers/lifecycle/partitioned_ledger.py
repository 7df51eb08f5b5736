"""The ledger of all partitions, as one: a batch is divided, and its calls are sent to all of them together.

It goes on without partitions that are away. An object of such a partition is answered as one that is not wanted: its
stage goes on with the others. It stays in the ledger, and is sent again when the partition is back. So a partition
costs only its own objects time. A short outage, such as the move of a slot or a failover, is waited for, since that
costs less than to tag again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from tasks.message_parts import ObjectRef, Revision
from workers.lifecycle.ledger import Arrival, Ledger, Overdue, Sent, TakenBack, Waiting
from workers.lifecycle.outcomes import Acceptance, Before
from workers.lifecycle.record import Error, Record
from workers.redis.connection import Client, translated
from workers.redis.partition_faults import PartitionFaults
from workers.redis.partitions import Partitions
from workers.redis.scatter import Scatter
from workers.redis.script_calls import Command

T = TypeVar("T")
TRIES = 3  # of a partition that comes back


class PartitionedLedger(Ledger):
    """See ``Ledger``. ``client``: of the keys that belong to no object; ``clients``: one for each partition.

    ``faults``: knows which partitions are away; without it none may be. Counts, and what is overdue, are those of the
    partitions that are there. Raises ``StoreUnavailable`` for the keys under ``P``; ``enter``, ``remove``, ``revise``
    and ``adopt`` also for those of a partition, with its name, when the others have done their part.
    """

    def __init__(
        self,
        partitions: Partitions,
        client: Client,
        clients: Sequence[Client],
        feed_length: int,
        faults: PartitionFaults | None = None,
    ) -> None:
        self._redis = client
        self._parts = Scatter(
            partitions, [Ledger(of, keys, feed_length) for of, keys in zip(clients, partitions.all, strict=True)]
        )
        self._all = range(partitions.count)
        self._faults = faults or PartitionFaults(partitions.count)
        self._first = 0

    def before(self, oids: Sequence[str]) -> list[Before]:
        """See ``RecordWriter``."""
        return self._answered(
            oids, lambda part, places: part.before([oids[place] for place in places]), Before(b"", b"")
        )

    def finish(self, records: Sequence[Record], now: float) -> list[bool]:
        """See ``RecordWriter``."""
        return self._answered(
            [record.id for record in records],
            lambda part, places: part.finish([records[place] for place in places], now),
            otherwise=False,
        )

    def finish_said(self, records: Sequence[Record], before: Sequence[Before], now: float) -> list[str]:
        """See ``RecordWriter``."""
        return self._answered(
            [record.id for record in records],
            lambda part, places: part.finish_said(
                [records[place] for place in places], [before[place] for place in places], now
            ),
            "refused",
        )

    def revise(self, oid: str, stored: bytes, record: Record) -> bool:
        """See ``RecordWriter``."""
        return self._parts.at(oid, lambda part: part.revise(oid, stored, record))

    def adopt(self, same: Sequence[tuple[ObjectRef, bytes]]) -> list[bool]:
        """See ``RecordWriter``."""
        return self._parts.gather(
            [ref.id for ref, _ in same], lambda part, places: part.adopt([same[place] for place in places])
        )

    def acknowledge(self, oids: Sequence[str]) -> list[str]:
        """See ``RecordWriter``."""
        return self._parts.gather(oids, lambda part, places: part.acknowledge([oids[place] for place in places]))

    def remove(self, oids: Sequence[str]) -> list[bool]:
        """See ``RecordWriter``."""
        return self._parts.gather(oids, lambda part, places: part.remove([oids[place] for place in places]))

    def enter(self, arrivals: Sequence[Arrival], revision: Revision, now: float, deadline: float) -> list[str]:
        """See ``Ledger``."""
        return self._parts.gather(
            [arrival.ref.id for arrival in arrivals],
            lambda part, places: part.enter([arrivals[place] for place in places], revision, now, deadline),
        )

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
        """See ``Ledger``. ``also``: of keys that belong to no object; one wait more."""
        if also:
            with translated():
                pipe = self._redis.pipeline(transaction=False)
                for command in also:
                    pipe.execute_command(*command)
                pipe.execute()
        return self._answered(
            [ref.id for ref in refs],
            lambda part, places: part.advance(
                [refs[place] for place in places], revision, stage, deadline,
                now=now, begin=begin, handed=handed, read_before=read_before,
            ),
            None,
        )  # fmt: skip

    def overdue(self, now: float, deadline: float, limit: int = 100) -> list[Overdue]:
        """See ``Ledger``. Each partition in turn, beginning with another one each time."""
        count = len(self._all)
        turn = [(self._first + n) % count for n in self._all]
        self._first += 1
        found: list[Overdue] = []
        while turn and len(found) < limit:
            most, more = divmod(limit - len(found), len(turn))
            shares = {partition: most + (n < more) for n, partition in enumerate(turn) if most + (n < more)}
            claimed = self._claimed(
                list(shares),
                lambda part, partition: part.overdue(now, deadline, shares[partition]),  # noqa: B023 -- called at once
                before=found,
            )
            found += [one for page in claimed.values() for one in page]
            # those that were not asked may have some, too
            turn = [p for p in turn if p not in shares or len(claimed.get(p, ())) == shares[p]]
        return found

    def overdue_by(self, at: float, deadline: float) -> list[Overdue]:
        """See ``Ledger``."""
        claimed = self._claimed(self._all, lambda part, _: part.overdue_by(at, deadline))
        return [one for page in claimed.values() for one in page]

    def put_on(
        self, queue: str, refs: Sequence[ObjectRef], revision: Revision, now: float, sent: Sent = "on"
    ) -> None:
        """See ``Ledger``."""

        def put(part: Ledger, places: Sequence[int]) -> list[None]:
            part.put_on(queue, [refs[place] for place in places], revision, now, sent)
            return [None] * len(places)

        self._answered([ref.id for ref in refs], put, None)

    def postpone(
        self, refs: Sequence[ObjectRef], revision: Revision, until: float, fault: str, *, now: float,
        own: bool = True, back: TakenBack = "begun",
    ) -> None:  # fmt: skip
        """See ``Ledger``."""

        def postponed(part: Ledger, places: Sequence[int]) -> list[None]:
            part.postpone([refs[place] for place in places], revision, until, fault, now=now, own=own, back=back)
            return [None] * len(places)

        self._answered([ref.id for ref in refs], postponed, None)

    def tag_again(self, revision: Revision | None = None) -> int:
        """See ``Ledger``. Raises ``StoreUnavailable`` if a partition is away: its objects would be missed."""
        return sum(self._parts.each(lambda part: part.tag_again(revision)))

    def crashed(
        self, refs: Sequence[ObjectRef], revision: Revision, how: str, deadline: float, *, blamed: bool
    ) -> list[str]:
        """See ``Ledger``."""

        def noted(part: Ledger, places: Sequence[int]) -> list[str]:
            mine = [refs[place] for place in places]
            found = set(part.crashed(mine, revision, how, deadline, blamed=blamed))
            return [ref.id if ref.id in found else "" for ref in mine]

        return [oid for oid in self._answered([ref.id for ref in refs], noted, "") if oid]

    def give_up_segmentation(self, ref: ObjectRef, revision: str, error: Error) -> None:
        """See ``Ledger``."""

        def given_up(part: Ledger, _: Sequence[int]) -> list[None]:
            part.give_up_segmentation(ref, revision, error)
            return [None]

        self._answered([ref.id], given_up, None)

    def segmentation_methods(self, refs: Sequence[ObjectRef]) -> list[str]:
        """See ``Ledger``."""
        return self._answered(
            [ref.id for ref in refs],
            lambda part, places: part.segmentation_methods([refs[place] for place in places]),
            "",
        )

    def extend_after(self, ref: ObjectRef, stage: str, deadline: float, queued_at: str) -> str:
        """See ``Ledger``. Two waits, since the other partitions do not know when the object was queued."""
        mine = self._parts.partitions.of(ref.id)
        answers = self._there([mine], lambda part, _: part.extend_after(ref, stage, deadline, queued_at))
        if queued_at := answers.get(mine, ""):
            others = [partition for partition in self._all if partition != mine]
            self._there(others, lambda part, _: part.extend_after(ref, stage, deadline, queued_at))
        return queued_at

    def segmenting(self) -> int:
        """See ``Ledger``."""
        return sum(self._each(lambda part: part.segmenting()))

    def in_flight(self) -> int:
        """See ``Ledger``."""
        return sum(self._each(lambda part: part.in_flight()))

    def waiting(self) -> Waiting:
        """See ``Ledger``."""
        waiting = self._each(lambda part: part.waiting())
        return Waiting(
            sum(one.queued for one in waiting), sum(one.segmenting for one in waiting),
            sum(one.segments for one in waiting), sum(one.low_priority for one in waiting),
        )  # fmt: skip

    def server_run(self) -> str:
        """See ``Ledger``. It changes with the run of any server that has a partition, and with an outage."""
        return " ".join(dict.fromkeys(self._each(lambda part: part.server_run())))

    def _claimed(
        self, partitions: Sequence[int], call: Callable[[Ledger, int], list[Overdue]], before: Sequence[Overdue] = ()
    ) -> dict[int, list[Overdue]]:
        """What could be claimed. A fault is raised only if nothing was, also not ``before``.

        What is claimed must be sent again: otherwise it would wait for its next deadline.
        """
        claimed, faults = self._parts.tried(self._not_away(partitions), call)
        unknown = [fault for fault in faults if not self._faults.begun(fault)]
        if unknown and not before and not any(claimed.values()):
            raise unknown[0]
        return claimed

    def _each(self, call: Callable[[Ledger], T]) -> list[T]:
        """The answers of all partitions that are not away."""
        return list(self._there(self._all, lambda part, _: call(part)).values())

    def _there(self, partitions: Sequence[int], call: Callable[[Ledger, int], T]) -> dict[int, T]:
        """The answers of those of some partitions that are not away."""
        answers, faults = self._parts.tried(self._not_away(partitions), call)
        for fault in faults:
            if not self._faults.begun(fault):
                raise fault
        return answers

    def _answered(
        self, ids: Sequence[str], call: Callable[[Ledger, list[int]], Sequence[T]], otherwise: T
    ) -> list[T]:
        """The answer for each object, in order; ``otherwise`` for those of partitions that stay away.

        ``call`` gets the positions of the objects of its partition, and returns one answer for each.
        """
        divided = self._parts.partitions.divide(ids)
        answers: dict[int, Sequence[T]] = {}
        left = list(divided)
        for _ in range(TRIES):
            answers |= self._there(left, lambda part, partition: call(part, divided[partition]))
            left = [one for one in divided if one not in answers and self._faults.returns(one)]
            if not left:
                break
        found = [otherwise] * len(ids)
        for partition, page in answers.items():
            for place, answer in zip(divided[partition], page, strict=True):
                found[place] = answer
        return found

    def _not_away(self, partitions: Sequence[int]) -> list[int]:
        return [partition for partition in partitions if not self._faults.away(partition)]
