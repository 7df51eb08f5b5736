"""The ledger of all partitions, as one: a batch is divided, and its calls are sent to all of them together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tasks.message_parts import ObjectRef, Revision
from vectordb.errors import WildtagError
from workers.lifecycle.ledger import Arrival, Ledger, Overdue, Waiting
from workers.lifecycle.outcomes import Acceptance, Before
from workers.lifecycle.record import Record
from workers.redis.connection import Client, translated
from workers.redis.partitions import Partitions
from workers.redis.scatter import Scatter
from workers.redis.script_calls import Command

Claimed = Mapping[int, Sequence[Overdue]]


class PartitionedLedger(Ledger):
    """See ``Ledger``. ``client``: of the keys that belong to no object; ``clients``: one for each partition."""

    def __init__(self, partitions: Partitions, client: Client, clients: Sequence[Client], feed_length: int) -> None:
        self._redis = client
        self._parts = Scatter(
            partitions, [Ledger(of, keys, feed_length) for of, keys in zip(clients, partitions.all, strict=True)]
        )
        self._first = 0

    def before(self, oids: Sequence[str]) -> list[Before]:
        """See ``RecordWriter``."""
        return self._parts.gather(oids, lambda part, places: part.before([oids[place] for place in places]))

    def finish(self, records: Sequence[Record], now: float) -> list[bool]:
        """See ``RecordWriter``."""
        return self._parts.gather(
            [record.id for record in records],
            lambda part, places: part.finish([records[place] for place in places], now),
        )

    def finish_said(self, records: Sequence[Record], before: Sequence[Before], now: float) -> list[str]:
        """See ``RecordWriter``."""
        return self._parts.gather(
            [record.id for record in records],
            lambda part, places: part.finish_said(
                [records[place] for place in places], [before[place] for place in places], now
            ),
        )

    def revise(self, oid: str, stored: bytes, record: Record) -> bool:
        """See ``RecordWriter``."""
        return self._parts.at(oid, lambda part: part.revise(oid, stored, record))

    def adopt(self, same: Sequence[tuple[ObjectRef, bytes]]) -> list[bool]:
        """See ``RecordWriter``."""
        return self._parts.gather(
            [ref.id for ref, _ in same], lambda part, places: part.adopt([same[place] for place in places])
        )

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
        return self._parts.gather(
            [ref.id for ref in refs],
            lambda part, places: part.advance(
                [refs[place] for place in places], revision, stage, deadline,
                now=now, begin=begin, handed=handed, read_before=read_before,
            ),
        )  # fmt: skip

    def overdue(self, now: float, deadline: float, limit: int = 100) -> list[Overdue]:
        """See ``Ledger``. Each partition in turn, beginning with another one each time."""
        count = self._parts.partitions.count
        turn = [(self._first + n) % count for n in range(count)]
        self._first += 1
        found: list[Overdue] = []
        while turn and len(found) < limit:
            most, more = divmod(limit - len(found), len(turn))
            shares = {partition: most + (n < more) for n, partition in enumerate(turn) if most + (n < more)}
            claimed, faults = self._claimed(
                list(shares),
                lambda part, partition: part.overdue(now, deadline, shares[partition]),  # noqa: B023 -- called at once
            )
            found += _sent_again(claimed, faults, found)
            # those that were not asked may have some, too
            turn = [p for p in turn if p not in shares or len(claimed.get(p, ())) == shares[p]]
        return found

    def overdue_by(self, at: float, deadline: float) -> list[Overdue]:
        """See ``Ledger``."""
        every = range(self._parts.partitions.count)
        claimed, faults = self._claimed(every, lambda part, _: part.overdue_by(at, deadline))
        return _sent_again(claimed, faults)

    def _claimed(
        self, partitions: Sequence[int], call: Callable[[Ledger, int], list[Overdue]]
    ) -> tuple[dict[int, list[Overdue]], list[WildtagError]]:
        """What could be claimed, and the faults of partitions that are not away."""
        return self._parts.tried(partitions, call)

    def postpone(self, refs: Sequence[ObjectRef], revision: Revision, until: float, fault: str) -> None:
        """See ``Ledger``."""
        self._parts.divided(
            [ref.id for ref in refs],
            lambda part, places: part.postpone([refs[place] for place in places], revision, until, fault),
        )

    def segmentation_methods(self, refs: Sequence[ObjectRef]) -> list[str]:
        """See ``Ledger``."""
        return self._parts.gather(
            [ref.id for ref in refs],
            lambda part, places: part.segmentation_methods([refs[place] for place in places]),
        )

    def extend_after(self, ref: ObjectRef, stage: str, deadline: float, queued_at: str) -> str:
        """See ``Ledger``. Two waits, since the other partitions do not know when the object was queued."""
        mine = self._parts.partitions.of(ref.id)
        queued_at = self._parts.at(ref.id, lambda part: part.extend_after(ref, stage, deadline, queued_at))
        others = [partition for partition in range(self._parts.partitions.count) if partition != mine]
        if queued_at:
            self._parts.some(others, lambda part, _: part.extend_after(ref, stage, deadline, queued_at))
        return queued_at

    def segmenting(self) -> int:
        """See ``Ledger``."""
        return sum(self._parts.each(lambda part: part.segmenting()))

    def in_flight(self) -> int:
        """See ``Ledger``."""
        return sum(self._parts.each(lambda part: part.in_flight()))

    def waiting(self) -> Waiting:
        """See ``Ledger``."""
        waiting = self._parts.each(lambda part: part.waiting())
        return Waiting(
            sum(one.queued for one in waiting), sum(one.segmenting for one in waiting),
            sum(one.segments for one in waiting), sum(one.low_priority for one in waiting),
        )  # fmt: skip

    def server_run(self) -> str:
        """See ``Ledger``. It changes with the run of any server that has a partition."""
        return " ".join(dict.fromkeys(self._parts.each(lambda part: part.server_run())))


def _sent_again(claimed: Claimed, faults: Sequence[WildtagError], before: Sequence[Overdue] = ()) -> list[Overdue]:
    """All that was claimed by partition. A fault is raised only if nothing was, also not ``before``.

    What is claimed must be sent again: otherwise it would wait for its next deadline.
    """
    found = [one for page in claimed.values() for one in page]
    if faults and not found and not before:
        raise faults[0]
    return found
