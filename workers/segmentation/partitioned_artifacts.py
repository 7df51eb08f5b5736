"""Artifacts of the objects of all partitions, as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.message_parts import ObjectRef
from tasks.segmentation.results import Segmented
from workers.lifecycle.record import ArtifactKeys
from workers.redis.connection import Client
from workers.redis.partitions import Partitions
from workers.redis.scatter import Scatter
from workers.segmentation.artifacts import Artifacts
from workers.stores.store import ObjectStore

if TYPE_CHECKING:
    from PIL import Image


class PartitionedArtifacts(Artifacts):
    """See ``Artifacts``."""

    def __init__(self, store: ObjectStore, partitions: Partitions, clients: Sequence[Client], output: str) -> None:
        self._parts = Scatter(
            partitions, [Artifacts(store, of, keys, output) for of, keys in zip(clients, partitions.all, strict=True)]
        )

    def of(self, key: str) -> ArtifactKeys:
        """See ``Artifacts``."""
        return self._parts.adapters[0].of(key)

    def keep(self, ref: ObjectRef, image: Image.Image, segmented: Segmented) -> ArtifactKeys:
        """See ``Artifacts``."""
        return self._parts.at(ref.id, lambda part: part.keep(ref, image, segmented))

    def listed(self, oids: Sequence[str]) -> list[bool]:
        """See ``Artifacts``."""
        return self._parts.gather(oids, lambda part, places: part.listed([oids[place] for place in places]))

    def adopt(self, oids: Sequence[str]) -> None:
        """See ``Artifacts``."""
        self._parts.divided(oids, lambda part, places: part.adopt([oids[place] for place in places]))

    def forget(self, oids: Sequence[str]) -> None:
        """See ``Artifacts``."""
        self._parts.divided(oids, lambda part, places: part.forget([oids[place] for place in places]))

    def remove(self, oid: str) -> None:
        """See ``Artifacts``."""
        self._parts.at(oid, lambda part: part.remove(oid))
