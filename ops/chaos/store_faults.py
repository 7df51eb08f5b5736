"""Faults of the S3 server, and of the network to it."""

from __future__ import annotations

from ops.chaos.fault import Fault
from ops.chaos.store_proxy import Trouble
from ops.chaos.world import World
from vectordb.errors import Permanent


class StoreTrouble(Fault):
    """The S3 server, or the network to it, as wildtag sees it."""

    def __init__(self, world: World, chance: float, trouble: Trouble) -> None:
        super().__init__(world, chance)
        self._trouble = trouble

    def begin(self) -> None:
        """Let it happen to every request."""
        self._set(self._trouble)

    def mend(self) -> None:
        """Answer rightly again."""
        self._set(Trouble.NONE)

    def _set(self, trouble: Trouble) -> None:
        if self.world.store is None:
            raise Permanent("the bucket of this run is a folder")
        self.world.store.trouble = trouble
