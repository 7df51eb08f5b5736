"""Segmentation requests of the objects of all partitions, as one."""

from __future__ import annotations

from collections.abc import Sequence

from workers.redis.connection import Client
from workers.redis.partitions import Partitions
from workers.redis.scatter import Scatter
from workers.segmentation.requests import SegmentationRequests


class PartitionedRequests(SegmentationRequests):
    """See ``SegmentationRequests``."""

    def __init__(self, partitions: Partitions, clients: Sequence[Client]) -> None:
        self._parts = Scatter(partitions, list(map(SegmentationRequests, clients, partitions.all)))

    def ask(self, oids: Sequence[str], method: str) -> None:
        """See ``SegmentationRequests``."""
        self._parts.divided(oids, lambda part, places: part.ask([oids[place] for place in places], method))

    def pending(self, oids: Sequence[str]) -> list[bool]:
        """See ``SegmentationRequests``."""
        return self._parts.gather(oids, lambda part, places: part.pending([oids[place] for place in places]))
