"""The versions of the tagged objects of all partitions, as one."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from workers.lifecycle.record_reader import in_pages
from workers.lifecycle.record_versions import RecordVersion, RecordVersions
from workers.redis.connection import Client, text
from workers.redis.partitions import Partitions
from workers.redis.scatter import Scatter


class PartitionedVersions(RecordVersions):
    """See ``RecordVersions``. ``client``: of the backlog; ``clients``: one for each partition."""

    def __init__(self, partitions: Partitions, client: Client, clients: Sequence[Client], space_id: str) -> None:
        super().__init__(client, partitions.base, space_id)
        self._parts = Scatter(
            partitions, [RecordVersions(of, keys, space_id) for of, keys in zip(clients, partitions.all, strict=True)]
        )

    def count(self) -> int:
        """See ``RecordVersions``."""
        return sum(self._parts.each(lambda part: part.count()))

    def busy(self) -> bool:
        """See ``RecordVersions``."""
        return super().busy() or any(self._parts.each(lambda part: part.busy()))

    def page(self, after: bytes | None, size: int) -> list[bytes]:
        """See ``RecordVersions``. Reads ``size`` ids of each partition; ``pages`` reads fewer."""
        return list(heapq.merge(*self._parts.each(lambda part: part.page(after, size))))[:size]

    def pages(self, size: int) -> Iterator[list[str]]:
        """See ``RecordVersions``."""
        share = max(1, size // self._parts.partitions.count)
        yield from in_pages(map(text, self._parts.in_order(lambda part, after: part.page(after, share), share)), size)

    def of(self, oids: Sequence[str]) -> list[RecordVersion | None]:
        """See ``RecordVersions``."""
        return self._parts.gather(oids, lambda part, places: part.of([oids[place] for place in places]))

    def moving(self, oids: Sequence[str], since: float) -> list[bool]:
        """See ``RecordVersions``."""
        return self._parts.gather(oids, lambda part, places: part.moving([oids[place] for place in places], since))

    def in_progress(self, oids: Sequence[str]) -> list[bool]:
        """See ``RecordVersions``."""
        return self._parts.gather(oids, lambda part, places: part.in_progress([oids[place] for place in places]))
