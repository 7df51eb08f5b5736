"""The interrupted objects of all partitions, as one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from workers.dispatch.interrupted import Interrupted
from workers.redis.connection import Client
from workers.redis.partitions import Partitions
from workers.redis.scatter import Scatter


class PartitionedInterrupted(Interrupted):
    """See ``Interrupted``."""

    def __init__(self, partitions: Partitions, clients: Sequence[Client]) -> None:
        self._parts = Scatter(partitions, list(map(Interrupted, clients, partitions.all)))

    def put(self, bucket: str, oids: Sequence[str], again: Collection[str]) -> None:
        """See ``Interrupted``."""
        self._parts.divided(oids, lambda part, places: part.put(bucket, [oids[place] for place in places], again))

    def pages(self, bucket: str) -> Iterator[list[str]]:
        """See ``Interrupted``."""
        for part in self._parts.adapters:
            yield from part.pages(bucket)

    def discard(self, bucket: str, keys: Sequence[str]) -> None:
        """See ``Interrupted``."""
        self._parts.divided(
            [f"{bucket}/{key}" for key in keys],
            lambda part, places: part.discard(bucket, [keys[place] for place in places]),
        )
