"""How an index is kept: graph, memory, quantisation, shards. What is left open follows from its size."""

from __future__ import annotations

from dataclasses import dataclass, replace

# captions; from here on vectors are quantised and the originals stay on disk. A graph over codes is built in a third
# of the time, and with rescoring as much is found: ops/decisions/0011-caption-index.md
LARGE = 20_000


@dataclass(frozen=True)
class IndexOptions:
    """``None`` means: by the number of captions.

    ``m`` and ``ef_construct`` shape the HNSW graph; ``ef`` is how many candidates a search keeps (more finds more,
    slower). ``quantised``: search over int8 codes and rescore ``oversampling`` times the wanted captions by their
    float32 vectors. ``on_disk``: the float32 vectors are read from disk when they are needed, not kept in memory.
    ``shards`` and ``replicas`` are a server's.
    """

    m: int = 32
    ef_construct: int = 256
    ef: int = 256
    quantised: bool | None = None
    oversampling: float = 2.0
    on_disk: bool | None = None
    shards: int = 1
    replicas: int = 1

    def decided(self, count: int) -> IndexOptions:
        """The same with nothing left open, for an index of ``count`` captions."""
        large = count >= LARGE
        return replace(
            self,
            quantised=large if self.quantised is None else self.quantised,
            on_disk=large if self.on_disk is None else self.on_disk,
        )
