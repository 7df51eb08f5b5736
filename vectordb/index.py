"""The caption index: vectors in, nearest captions out. One Protocol, several homes.

Homes: ``vectordb.edge`` (Qdrant Edge, in this process), ``vectordb.server`` (a Qdrant server) and ``vectordb.exact``
(numpy, exact, the oracle).
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

PAGE = 1024  # captions that are handled at once where all are gone through


class WrongDimension(Permanent):
    """Vectors of another dimension than the index holds: they belong to another space."""


class UnusableVectors(Permanent):
    """Vectors that are not finite, or have no length, and so point nowhere."""


class IndexLocked(Transient):
    """The index has an owner: another process, or somebody else in this one, has it open."""

    service = "captions"


class IndexFault(Transient):
    """The index's home failed in a way that may pass: a full disk, an unreadable file, a closed index."""

    service = "captions"


class IndexMissing(Permanent):
    """There is no index at this place, or what is there is not one."""


class IndexExists(Permanent):
    """There is an index at this place already."""


@dataclass(frozen=True)
class Neighbours:
    """What was found for one query, best first: k captions, (k,) similarities, (k, d) unit vectors."""

    captions: tuple[Caption, ...]
    similarities: Floats
    vectors: Floats


class CaptionSearch(Protocol):
    """Captions searchable by vector: what retrieval needs."""

    @property
    def dimension(self) -> int: ...

    def search(self, vectors: Floats, limit: int) -> list[Neighbours]:
        """The ``limit`` nearest captions of each row of ``vectors`` (n, dimension), as one batch.

        Best first; equal similarities in the order of their ids. Fewer where the index holds fewer. Raises
        ``WrongDimension`` or ``UnusableVectors``.
        """
        ...


class CaptionIndex(CaptionSearch, Protocol):
    """Captions searchable by vector, and changed here."""

    def add(self, captions: Sequence[Caption], vectors: Floats) -> None:
        """Insert, or replace by id; of equal ids in one call the last counts.

        ``vectors`` (n, dimension) of any length above zero; they are stored with unit length. They are found at
        once, and still there when the process is killed. Raises ``WrongDimension`` or ``UnusableVectors``, and then
        nothing of the call was added.
        """
        ...

    def remove(self, ids: Sequence[int]) -> None:
        """Take captions out; harmless for ids that are not there."""
        ...

    def get(self, ids: Sequence[int]) -> list[Caption]:
        """Those of these captions that are there, in the order of their ids."""
        ...

    def pages(
        self, source: str | None = None, after: int = -1, *, taught: bool = False
    ) -> Iterator[tuple[list[Caption], Floats]]:
        """All captions with their vectors, in the order of ids, ``PAGE`` at a time.

        With a ``source`` only those whose payload has it under ``SOURCE``, with ``taught`` those of any source; only
        ids above ``after``.
        """
        ...

    def count(self) -> int:
        """How many captions there are."""
        ...

    def close(self) -> None:
        """Flush and let go; harmless when called twice."""
        ...


def unit_rows(vectors: Floats, dimension: int) -> Floats:
    """A C-ordered float32 copy of shape (n, dimension) with rows of unit length, or the fault in words.

    Raises ``WrongDimension`` for any other shape and ``UnusableVectors`` for rows that are not finite or zero.
    """
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise WrongDimension(f"vectors of shape {vectors.shape} in an index of dimension {dimension}")
    rows = np.array(vectors, dtype=np.float32, order="C")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    usable = np.isfinite(lengths[:, 0]) & (lengths[:, 0] > 0)
    if not usable.all():
        raise UnusableVectors(f"row {int(np.argmin(usable))} of {len(rows)} vectors is zero or not finite")
    # a row that is a unit vector already comes back bit for bit
    lengths[np.abs(lengths - 1) < 1e-6] = 1
    rows /= lengths
    return rows


def paired(captions: Sequence[Caption], vectors: Floats, dimension: int) -> Floats:
    """``unit_rows`` of the vectors that go with these captions; ``WrongDimension`` where the counts differ."""
    if len(captions) != len(vectors):
        raise WrongDimension(f"{len(captions)} captions with {len(vectors)} vectors")
    return unit_rows(vectors, dimension)
