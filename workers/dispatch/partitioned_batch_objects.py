"""The objects of batches in all partitions, as one."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from workers.dispatch.batch_objects import BatchObjects, Page, nothing
from workers.lifecycle.event import ObjectEvent
from workers.redis.connection import Client, text, translated
from workers.redis.partitions import Partitions
from workers.redis.scatter import Scatter, sums


class PartitionedBatchObjects(BatchObjects):
    """See ``BatchObjects``. ``client``: of the batches; ``clients``: one for each partition."""

    def __init__(self, partitions: Partitions, client: Client, clients: Sequence[Client]) -> None:
        self._redis = client
        self._parts = Scatter(partitions, list(map(BatchObjects, clients, partitions.all)))

    def enter(
        self,
        batch: str,
        events: Sequence[ObjectEvent],
        *,
        announce: bool,
        low_priority: bool = False,
        also: Callable[[Any], None] = nothing,
    ) -> None:
        """See ``BatchObjects``. ``also`` comes last: before it, a repeated call adds what is missing."""
        self._parts.divided(
            [event.id for event in events],
            lambda part, places: part.enter(
                batch, [events[place] for place in places], announce=announce, low_priority=low_priority
            ),
        )
        if also is not nothing:
            with translated():
                pipe = self._redis.pipeline(transaction=True)
                also(pipe)
                pipe.execute()

    def number_open(self, batches: Sequence[str]) -> list[int]:
        """See ``BatchObjects``."""
        return sums(self._parts.each(lambda part: part.number_open(batches)))

    def open(self, batch: str) -> Iterator[tuple[Page, float]]:
        """See ``BatchObjects``. The times are those of the servers of the partitions."""
        for pages in self._parts.each(lambda part: list(part.open(batch))):
            yield from pages

    def newest(self, batch: str, count: int) -> list[tuple[Page, float]]:
        """See ``BatchObjects``. Of each partition."""
        return [page for pages in self._parts.each(lambda part: part.newest(batch, count)) for page in pages]

    def move(self, batch: str, ended: Sequence[tuple[bytes, str]]) -> None:
        """See ``BatchObjects``."""
        self._parts.divided(
            [text(member) for member, _ in ended],
            lambda part, places: part.move(batch, [ended[place] for place in places]),
        )

    def keep(self, batch: str) -> None:
        """See ``BatchObjects``."""
        self._parts.each(lambda part: part.keep(batch))

    def ended(
        self, batch: str, starts: Sequence[int] | None, limit: int
    ) -> tuple[Counter[str], list[bytes], list[int] | None]:
        """See ``BatchObjects``. There is a position for each partition; their objects come one after the other."""
        count = self._parts.partitions.count
        positions = [*(starts or ()), *[0] * count][:count]
        total: Counter[str] = Counter()
        found: list[bytes] = []
        parts = self._parts.some(
            range(count), lambda part, partition: part.ended(batch, [positions[partition]], limit)
        )
        more = False
        for partition, (counts, failed, further) in enumerate(parts):
            total.update(counts)
            taken = failed[: limit - len(found)]
            more = more or further is not None or len(failed) > len(taken)
            positions[partition] += len(taken)
            found += taken
        return total, found, positions if more else None

    def gone(self, batch: str, limit: int) -> list[bytes]:
        """See ``BatchObjects``."""
        return list(heapq.merge(*self._parts.each(lambda part: part.gone(batch, limit))))[:limit]
