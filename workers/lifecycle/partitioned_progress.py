"""The progress of the objects of all partitions, as one."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from workers.lifecycle.progress import Progress, ProgressReader
from workers.redis.connection import Client
from workers.redis.partitions import Partitions
from workers.redis.scatter import Scatter, sums


class PartitionedProgress(ProgressReader):
    """See ``ProgressReader``. ``client``: of what waits for a partition; ``clients``: one for each partition."""

    def __init__(self, partitions: Partitions, client: Client, clients: Sequence[Client]) -> None:
        super().__init__(client, partitions.base)
        self._parts = Scatter(partitions, list(map(ProgressReader, clients, partitions.all)))

    def look(self, oids: Sequence[str], since: float = 0.0) -> list[Progress | None]:
        """See ``ProgressReader``. Two waits more if some objects are queued: all partitions have such before them."""
        looked = self._parts.gather(oids, lambda part, places: part.look([oids[place] for place in places], since))
        queued = [oids[n] for n, one in enumerate(looked) if one is not None and one.position is not None]
        if not queued:
            return looked
        before = self._ahead(queued)
        return [
            one if one is None or one.position is None else replace(one, position=one.position + before[oid])
            for oid, one in zip(oids, looked, strict=True)
        ]

    def _ahead(self, oids: Sequence[str]) -> dict[str, int]:
        """The number of objects before each in the other partitions. Those with the same score: by partition."""
        turns = self._parts.gather(oids, lambda part, places: part.turns([oids[place] for place in places]))
        own = list(map(self._parts.partitions.of, oids))

        def ahead(part: ProgressReader, partition: int) -> list[int]:
            counts = part.ahead(turns, [partition < mine for mine in own])
            return [0 if partition == mine else count for mine, count in zip(own, counts, strict=True)]

        counted = self._parts.some(range(self._parts.partitions.count), ahead)
        return dict(zip(oids, sums(counted), strict=True))

    def turns(self, oids: Sequence[str]) -> list[tuple[float | None, float | None]]:
        """See ``ProgressReader``."""
        return self._parts.gather(oids, lambda part, places: part.turns([oids[place] for place in places]))

    def ahead(self, turns: Sequence[tuple[float | None, float | None]], equal: Sequence[bool]) -> list[int]:
        """See ``ProgressReader``."""
        return sums(self._parts.each(lambda part: part.ahead(turns, equal)))

    def tokens(self, oids: Sequence[str]) -> list[str]:
        """See ``ProgressReader``."""
        return self._parts.gather(oids, lambda part, places: part.tokens([oids[place] for place in places]))

    def forget(self, oid: str) -> None:
        """See ``ProgressReader``."""
        self._parts.at(oid, lambda part: part.forget(oid))

    def waiting(self, *, segmented: bool = False) -> int:
        """See ``ProgressReader``."""
        parts = self._parts.each(lambda part: part.waiting(segmented=segmented))
        return super().waiting(segmented=segmented) + sum(parts)
