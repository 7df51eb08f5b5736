"""Index options: graph, memory, quantisation, shards. Unset options follow from the index size."""

from __future__ import annotations

from dataclasses import dataclass, replace

# captions; from this size on vectors are quantised and the originals stay on disk. A graph over codes is built in a
# third of the time, and with rescoring the recall is equal: ops/decisions/0011-caption-index.md
LARGE = 20_000


@dataclass(frozen=True)
class IndexOptions:
    """``None`` means: chosen by the number of captions.

    ``m`` and ``ef_construct`` shape the HNSW graph; ``ef`` is the number of candidates during a search (more
    increases recall and time). ``quantised``: search over int8 codes and rescore ``oversampling`` times the wanted
    captions with their float32 vectors. ``on_disk``: read the float32 vectors from disk when needed, instead of
    keeping them in memory. ``shards`` and ``replicas`` apply to a server.
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
        """The same with all options set, for an index of ``count`` captions."""
        large = count >= LARGE
        return replace(
            self,
            quantised=large if self.quantised is None else self.quantised,
            on_disk=large if self.on_disk is None else self.on_disk,
        )
