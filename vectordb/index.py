"""The caption index: vectors in, nearest captions out. One Protocol, several homes.

Homes: ``vectordb.edge`` (Qdrant Edge, in this process) and ``vectordb.exact`` (numpy, exact, the oracle).
All vectors are float32 of unit length; similarity is their cosine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vectordb.captions import Caption
from vectordb.errors import Permanent, Transient

Floats = NDArray[np.float32]


class WrongDimension(Permanent):
    """Vectors of another dimension than the index holds: they belong to another space."""


class IndexLocked(Transient):
    """Another process owns this index."""


class IndexMissing(Permanent):
    """There is no index at this place, or what is there is not one."""


@dataclass(frozen=True)
class Neighbours:
    """What was found for one query, best first: k captions, (k,) similarities, (k, d) unit vectors."""

    captions: tuple[Caption, ...]
    similarities: Floats
    vectors: Floats


class CaptionIndex(Protocol):
    """Captions searchable by vector."""

    @property
    def dimension(self) -> int: ...

    def add(self, captions: Sequence[Caption], vectors: Floats) -> None:
        """Insert, or replace by id. ``vectors`` (n, dimension). Raises ``WrongDimension``."""
        ...

    def search(self, vectors: Floats, limit: int) -> list[Neighbours]:
        """The ``limit`` nearest captions of each row of ``vectors`` (n, dimension), as one batch."""
        ...

    def count(self) -> int:
        """How many captions there are."""
        ...

    def __iter__(self) -> Iterator[Caption]:
        """All captions, in the order of their ids."""
        ...

    def close(self) -> None:
        """Flush and let go; harmless when called twice."""
        ...
