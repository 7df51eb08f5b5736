"""Adapters that give a case's own numbers to the stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tasks.cache import Cache
from tasks.encoders.protocols import Space
from tasks.message_parts import Candidate, Floats, Hit, ObjectRef, Revision, Vectors
from tasks.messages import Embedded
from vectordb.captions import Caption
from vectordb.index import Neighbours

SPACE_ID = "golden"


def unit(vectors: Sequence[Sequence[float]]) -> Floats:
    """Rows of unit length, float32."""
    matrix = np.asarray(vectors, dtype=np.float64)
    rows: Floats = (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)
    return rows


def embedded(vectors: Floats) -> Embedded:
    """A batch of as many objects as there are vectors."""
    return Embedded(
        objects=tuple(ObjectRef("golden", str(number), "0") for number in range(len(vectors))),
        revision=Revision(SPACE_ID, "0"),
        vectors=Vectors.of(vectors),
    )


class GivenIndex:
    """Finds, for the i-th query, the i-th list of captions, numbered from 0."""

    def __init__(self, captions: Sequence[Sequence[str]], vectors: Sequence[Floats]) -> None:
        self._found = [
            Neighbours(
                tuple(Caption(number, text) for number, text in enumerate(texts)),
                np.ones(len(texts), dtype=np.float32),
                rows,
            )
            for texts, rows in zip(captions, vectors, strict=True)
        ]
        self.dimension = vectors[0].shape[1]

    def search(self, vectors: Floats, limit: int) -> list[Neighbours]:
        """What is given, whatever is asked."""
        assert len(vectors) == len(self._found)
        assert all(len(found.captions) <= limit for found in self._found)
        return self._found


class GivenEncoder:
    """Encodes the texts whose vectors are given."""

    def __init__(self, space: Space, vectors: Mapping[str, Sequence[float]]) -> None:
        self.space = space
        self._vectors = vectors

    def encode(self, texts: Sequence[str]) -> Floats:
        """(n, dimension), unit length."""
        return unit([self._vectors[text] for text in texts])


class GivenExtractor:
    """Extracts, from the i-th object's captions, the i-th list of candidates."""

    def __init__(self, labels: Sequence[Sequence[str]]) -> None:
        self._labels = labels

    def candidates(self, retrieved: Sequence[Sequence[Hit]], cache: Cache) -> list[tuple[Candidate, ...]]:
        """What is given."""
        del cache  # a profile has one, this needs none
        assert len(retrieved) == len(self._labels)
        return [tuple(Candidate(label) for label in labels) for labels in self._labels]

    def warm(self) -> None:
        """Nothing to load."""
