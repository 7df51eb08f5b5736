"""The ledger of several partitions, which goes on without those that are away.

An object of such a partition is answered as one that is not wanted: its stage goes on with the others. It stays in
the ledger, and is sent again when the partition is back. So a partition costs only its own objects time. A short
outage, such as the move of a slot or a failover, is waited for, since that costs less than to tag again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from tasks.message_parts import ObjectRef, Revision
from vectordb.errors import WildtagError
from workers.lifecycle.ledger import Ledger, Overdue, Waiting
from workers.lifecycle.outcomes import Acceptance, Before
from workers.lifecycle.partitioned_ledger import PartitionedLedger
from workers.lifecycle.record import Record
from workers.redis.connection import Client
from workers.redis.partition_faults import PartitionFaults
from workers.redis.partitions import Partitions
from workers.redis.script_calls import Command

T = TypeVar("T")
TRIES = 3  # of a partition that comes back


class TolerantLedger(PartitionedLedger):
    """See ``Ledger``. Raises ``StoreUnavailable`` for the keys under ``P``, and by ``enter``, ``remove``, ``revise``
    and ``adopt`` also for those of a partition, with its name, when the others have done their part.
    """

    def __init__(
        self,
        partitions: Partitions,
        client: Client,
        clients: Sequence[Client],
        feed_length: int,
        faults: PartitionFaults,
    ) -> None:
        super().__init__(partitions, client, clients, feed_length)
        self._faults = faults

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
        """See ``Ledger``."""
        if also:
            super().advance([], revision, stage, deadline, now=now, also=also)
        return self._answered(
            [ref.id for ref in refs],
            lambda part, places: part.advance(
                [refs[place] for place in places], revision, stage, deadline,
                now=now, begin=begin, handed=handed, read_before=read_before,
            ),
            None,
        )  # fmt: skip

    def postpone(self, refs: Sequence[ObjectRef], revision: Revision, until: float, fault: str) -> None:
        """See ``Ledger``."""

        def postponed(part: Ledger, places: Sequence[int]) -> list[None]:
            part.postpone([refs[place] for place in places], revision, until, fault)
            return [None] * len(places)

        self._answered([ref.id for ref in refs], postponed, None)

    def segmentation_methods(self, refs: Sequence[ObjectRef]) -> list[str]:
        """See ``Ledger``."""
        return self._answered(
            [ref.id for ref in refs],
            lambda part, places: part.segmentation_methods([refs[place] for place in places]),
            "",
        )

    def extend_after(self, ref: ObjectRef, stage: str, deadline: float, queued_at: str) -> str:
        """See ``Ledger``."""
        mine = self._parts.partitions.of(ref.id)
        answers = self._there([mine], lambda part, _: part.extend_after(ref, stage, deadline, queued_at))
        if queued_at := answers.get(mine, ""):
            others = [partition for partition in range(self._parts.partitions.count) if partition != mine]
            self._there(others, lambda part, _: part.extend_after(ref, stage, deadline, queued_at))
        return queued_at

    def segmenting(self) -> int:
        """See ``Ledger``: of the partitions that are there, as all that follow."""
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
        self, partitions: Sequence[int], call: Callable[[Ledger, int], list[Overdue]]
    ) -> tuple[dict[int, list[Overdue]], list[WildtagError]]:
        claimed, faults = super()._claimed([one for one in partitions if not self._faults.away(one)], call)
        return claimed, [fault for fault in faults if not self._faults.begun(fault)]

    def _each(self, call: Callable[[Ledger], T]) -> list[T]:
        return list(self._there(range(self._parts.partitions.count), lambda part, _: call(part)).values())

    def _there(self, partitions: Sequence[int], call: Callable[[Ledger, int], T]) -> dict[int, T]:
        """The answers of those partitions that are not away."""
        answers, faults = self._parts.tried([one for one in partitions if not self._faults.away(one)], call)
        for fault in faults:
            if not self._faults.begun(fault):
                raise fault
        return answers

    def _answered(
        self, ids: Sequence[str], call: Callable[[Ledger, list[int]], Sequence[T]], otherwise: T
    ) -> list[T]:
        """The answer for each object, in order; ``otherwise`` for those of partitions that stay away."""
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
