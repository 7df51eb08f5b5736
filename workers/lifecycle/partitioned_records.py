"""The records of all partitions, as one. The feed for clients is one stream, see ``workers.dispatch.feed_relay``."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence

from workers.lifecycle.damaged_records import DamagedRecords
from workers.lifecycle.object_numbers import ObjectNumbers
from workers.lifecycle.partitioned_tag_index import PartitionedTagIndex
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import PAGE, Pending, Records
from workers.lifecycle.record_times import RecordPlace, RecordTimes, merged
from workers.lifecycle.stored_heads import Heads
from workers.lifecycle.tag_hints import TagHints
from workers.redis.connection import Client
from workers.redis.partitions import Partitions
from workers.redis.scatter import Scatter


class PartitionedRecords(Records):
    """See ``Records``. ``client``: of the feed; ``clients``: one for each partition."""

    def __init__(self, partitions: Partitions, client: Client, clients: Sequence[Client]) -> None:
        super().__init__(client, partitions.base)
        pairs = list(zip(clients, partitions.all, strict=True))
        self._parts = Scatter(partitions, [Records(*pair) for pair in pairs])
        self._times = Scatter(partitions, [RecordTimes(*pair, n) for n, pair in enumerate(pairs)])
        self._numbers = Scatter(partitions, [ObjectNumbers(*pair) for pair in pairs])
        self.damaged = PartitionedDamagedRecords(self._parts)
        self.heads = PartitionedHeads(self._parts)
        self.tag_index = PartitionedTagIndex(partitions, [part.tag_index for part in self._parts.adapters], clients)
        self.tag_hints = TagHints(self.tag_index)

    def stored(self, oids: Sequence[str]) -> list[bytes | None]:
        """See ``Records``."""
        return self._parts.gather(oids, lambda part, places: part.stored([oids[place] for place in places]))

    def page_between(self, start: bytes, end: bytes, size: int) -> list[bytes]:
        """See ``Records``. Reads ``size`` ids of each partition."""
        return list(heapq.merge(*self._parts.each(lambda part: part.page_between(start, end, size))))[:size]

    def _between(self, start: bytes, end: bytes) -> Iterator[bytes]:
        size = max(PAGE // 10, PAGE // self._parts.partitions.count)

        def page(part: Records, after: bytes | None) -> list[bytes]:
            return part.page_between(start if after is None else b"(" + after, end, size)

        return self._parts.in_order(page, size)

    def count_in(self, bucket: str, prefix: str = "") -> int:
        """See ``Records``."""
        return sum(self._parts.each(lambda part: part.count_in(bucket, prefix)))

    def known(self, oids: Sequence[str]) -> list[tuple[str, str]]:
        """See ``Records``."""
        return self._parts.gather(oids, lambda part, places: part.known([oids[place] for place in places]))

    def places_in(self, listed: Sequence[int], after: RecordPlace | None, limit: int) -> list[RecordPlace]:
        """See ``Records``."""
        return merged(self._times.each(lambda times: times.page(listed, after, limit)), limit)

    def named(self, places: Sequence[RecordPlace]) -> list[str | None]:
        """See ``Records``."""
        members: dict[int, list[bytes]] = {}
        for place in places:
            members.setdefault(place.partition, []).append(place.member)
        oids = self._numbers.some(list(members), lambda numbers, partition: numbers.oids(members[partition]))
        found = dict(zip(members, map(iter, oids), strict=True))
        return [next(found[place.partition]) for place in places]

    def times(self, oids: Sequence[str], numbers: Sequence[int]) -> list[float]:
        """See ``Records``."""
        return self._times.gather(oids, lambda part, places: part.times([numbers[place] for place in places]))

    def ranges_of(self, oids: Sequence[str]) -> list[int | None]:
        """See ``Records``."""
        return self._parts.gather(oids, lambda part, places: part.ranges_of([oids[place] for place in places]))

    def pending_until(self, limit: int) -> list[tuple[float, Pending]]:
        """See ``Records``."""
        pages = self._parts.each(lambda part: part.pending_until(limit))
        return list(heapq.merge(*pages, key=lambda one: one[0]))[:limit]

    def on_its_way(self, oid: str) -> Pending | None:
        """See ``Records``."""
        return self._parts.at(oid, lambda part: part.on_its_way(oid))

    def counts(self) -> dict[str, int]:
        """See ``Records``. Events that wait for a partition that is away are in the inbox of the prefix itself."""
        total = Counter(super().counts())
        for counts in self._parts.each(lambda part: part.counts()):
            total.update(counts)
        return dict(total)


class PartitionedDamagedRecords(DamagedRecords):
    """See ``DamagedRecords``."""

    def __init__(self, parts: Scatter[Records]) -> None:
        self._parts = parts

    def read(self, oid: str, stored: bytes) -> Record | None:
        """See ``DamagedRecords``."""
        return self._parts.at(oid, lambda part: part.damaged.read(oid, stored))

    def list(self) -> list[str]:
        """See ``DamagedRecords``."""
        return sorted(oid for part in self._parts.each(lambda part: part.damaged.list()) for oid in part)


class PartitionedHeads:
    """See ``HeadReader``."""

    def __init__(self, parts: Scatter[Records]) -> None:
        self._parts = parts

    def of(self, oids: Sequence[str]) -> Heads:
        """See ``HeadReader``."""
        return self._parts.gather(oids, lambda part, places: part.heads.of([oids[place] for place in places]))
