"""The caption index: vectors in, nearest captions out. One Protocol with several adapters.

Adapters: ``vectordb.edge`` (Qdrant Edge, in this process), ``vectordb.server`` (a Qdrant server) and
``vectordb.exact`` (numpy, exact, used as reference). All vectors are float32 of unit length; similarity is their
cosine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vectordb.captions import SOURCE, Caption
from vectordb.errors import Permanent, Transient

Floats = NDArray[np.float32]

PAGE = 1024  # captions per page when all are read
SAMPLE_LEAST = 256  # a smaller sample says little about what is usual


class WrongDimension(Permanent):
    """The vectors have another dimension than the index: they belong to another space."""


class UnusableVectors(Permanent):
    """The vectors are not finite or have zero length, so they have no direction."""


class IndexLocked(Transient):
    """The index is open elsewhere, in this process or another."""

    service = "captions"


class IndexFault(Transient):
    """The index failed in a way that may be temporary: a full disk, an unreadable file, a closed index."""

    service = "captions"


class IndexMissing(Permanent):
    """There is no index at this place, or its content is not an index."""


class IndexExists(Permanent):
    """An index already exists at this place."""


@dataclass(frozen=True)
class Neighbours:
    """The results of one query, best first: k captions, (k,) similarities, (k, d) unit vectors."""

    captions: tuple[Caption, ...]
    similarities: Floats
    vectors: Floats


class CaptionSearch(Protocol):
    """Captions searchable by vector: what retrieval needs."""

    @property
    def dimension(self) -> int: ...

    def search(self, vectors: Floats, limit: int) -> list[Neighbours]:
        """The ``limit`` nearest captions of each row of ``vectors`` (n, dimension), as one batch.

        Best first; equal similarities are ordered by id. Fewer if the index holds fewer. Raises ``WrongDimension`` or
        ``UnusableVectors``.
        """
        ...


class CaptionIndex(CaptionSearch, Protocol):
    """Captions that can be searched by vector and changed."""

    def add(self, captions: Sequence[Caption], vectors: Floats) -> None:
        """Insert captions, or replace them by id; of equal ids in one call the last counts.

        ``vectors`` (n, dimension) of any length above zero are stored with unit length. They are searchable at once
        and survive a kill of the process. Raises ``WrongDimension`` or ``UnusableVectors``, and then adds nothing.
        """
        ...

    def remove(self, ids: Sequence[int]) -> None:
        """Remove captions; ignores unknown ids."""
        ...

    def get(self, ids: Sequence[int]) -> list[Caption]:
        """The captions with these ids, in the order of ids; unknown ids are skipped."""
        ...

    def pages(
        self, source: str | None = None, after: int = -1, *, taught: bool = False
    ) -> Iterator[tuple[list[Caption], Floats]]:
        """All captions with their vectors, in the order of ids, ``PAGE`` at a time.

        With ``source`` only those whose payload has it under ``SOURCE``, with ``taught`` those of any source; only
        ids above ``after``.
        """
        ...

    def count(self) -> int:
        """The number of captions."""
        ...

    def close(self) -> None:
        """Flush and release the index. May be called twice."""
        ...


def sample(index: CaptionIndex, least: int = SAMPLE_LEAST) -> Floats:
    """The unit vectors (n, dimension) of up to ``PAGE`` captions of every kind; none of fewer than ``least``.

    Ids are digests of the texts, so the first ones are a random sample, and the same one in every process. What was
    taught is left out: a process that read the sample before that would come to other results than a later one.
    """
    found = np.empty((0, index.dimension), np.float32)
    for captions, vectors in index.pages():
        imported = [place for place, caption in enumerate(captions) if SOURCE not in caption.payload]
        found = np.concatenate([found, vectors[imported]])[:PAGE]
        if len(found) == PAGE:
            break
    return found[:0] if len(found) < least else found


def unit_rows(vectors: Floats, dimension: int) -> Floats:
    """A C-ordered float32 copy of shape (n, dimension) with rows of unit length.

    Raises ``WrongDimension`` for any other shape and ``UnusableVectors`` for rows that are not finite or zero.
    """
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise WrongDimension(f"vectors of shape {vectors.shape} do not fit an index of dimension {dimension}")
    rows = np.array(vectors, dtype=np.float32, order="C")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    usable = np.isfinite(lengths[:, 0]) & (lengths[:, 0] > 0)
    if not usable.all():
        raise UnusableVectors(f"row {int(np.argmin(usable))} of {len(rows)} vectors is zero or not finite")
    # a row of unit length is returned unchanged, bit for bit
    lengths[np.abs(lengths - 1) < 1e-6] = 1
    rows /= lengths
    return rows


def paired(captions: Sequence[Caption], vectors: Floats, dimension: int) -> Floats:
    """``unit_rows`` of the vectors of these captions; raises ``WrongDimension`` if the counts differ."""
    if len(captions) != len(vectors):
        raise WrongDimension(f"{len(captions)} captions were given with {len(vectors)} vectors")
    return unit_rows(vectors, dimension)
