"""The segmentation queues of several partitions, as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.ledger import Arrival, Ledger
from workers.redis.partition_faults import PartitionFaults
from workers.redis.partitions import Partitions
from workers.segmentation.queue import REST_S, SegmentQueue


class PartitionedSegmentQueue(SegmentQueue):
    """Takes from each partition in turn, beginning with another one each time, and from none that is away.

    ``queues``: of each partition. ``ledger``: of all partitions. ``at_once``: maximum number of objects in
    segmentation, of all together.
    """

    def __init__(
        self,
        queues: Sequence[SegmentQueue],
        partitions: Partitions,
        faults: PartitionFaults,
        ledger: Ledger,
        at_once: int,
        clock: Callable[[], float],
    ) -> None:
        self._partitions = partitions
        self._faults = faults
        self._ledger = ledger
        self._at_once = at_once
        self._clock = clock
        self._resting_until = 0.0
        self._first = 0
        self._queues = queues

    def next(self, count: int) -> list[ObjectEvent]:
        """See ``SegmentQueue``."""
        found: list[ObjectEvent] = []
        self._first += 1
        for partition in self._faults.there(self._first):
            if len(found) >= count:
                break
            with self._faults.tolerated(partition):
                found += self._queues[partition].next(count - len(found))
        return found

    def with_origins(self, arrivals: Sequence[Arrival]) -> list[Arrival]:
        """See ``SegmentQueue``."""
        found = list(arrivals)
        for partition, places in self._partitions.divide([one.ref.id for one in arrivals]).items():
            with self._faults.tolerated(partition):
                known = self._queues[partition].with_origins([arrivals[place] for place in places])
                for place, one in zip(places, known, strict=True):
                    found[place] = one
        return found

    def put_off(self, oids: Sequence[str]) -> None:
        """See ``SegmentQueue``."""
        if oids:
            self._resting_until = self._clock() + REST_S
        for partition, places in self._partitions.divide(oids).items():
            with self._faults.tolerated(partition):
                self._queues[partition].put_off([oids[place] for place in places])

    def drop(self, oids: Sequence[str]) -> None:
        """See ``SegmentQueue``."""
        for partition, places in self._partitions.divide(oids).items():
            with self._faults.tolerated(partition):
                self._queues[partition].drop([oids[place] for place in places])
