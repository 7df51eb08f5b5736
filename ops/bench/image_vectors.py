"""Made image vectors with tags, for ``ops.bench index_latency``: deterministic, in pieces, and never stored.

**Vectors.** As those of images, they lie in clusters and close to a surface of few dimensions. Each of ``KINDS`` has
a direction and a basis of ``INTRINSIC`` dimensions; each of its clusters has a centre in that basis, and an image is
a centre, plus normal noise in the basis, plus a little noise in all dimensions.

**Tags.** A vocabulary with Zipf's frequencies. A cluster has ten words of its own; three of the five tags of an image
are among them, and two are any words. So tags agree with vectors in part, as real ones do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vectordb.images import ImageEntry, image_id
from vectordb.index import Floats

KINDS = 64
CLUSTERS = 4096
INTRINSIC = 24
WORDS = 20_000
TAGS = 5
PIECE = 8192  # images per piece
BUCKET = "made"

_COMMON = 1.0  # length of the part that all vectors share, which makes most cosines positive
_KIND, _CENTRE, _SPREAD, _NOISE = 0.8, 0.7, 0.7, 0.35  # lengths of the other parts
_QUERIES = 2**31  # the piece of the queries: no image has its number


@dataclass(frozen=True)
class MadeImages:
    """``count`` images of ``dimension`` dimensions, the same for the same ``seed``."""

    count: int
    dimension: int = 384
    seed: int = 7
    _kinds: NDArray[np.float32] = field(init=False, repr=False)
    _bases: NDArray[np.float32] = field(init=False, repr=False)
    _centres: NDArray[np.float32] = field(init=False, repr=False)
    _words: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        shared = _of_length(rng.standard_normal((1, self.dimension)), _COMMON)
        kinds = shared + _of_length(rng.standard_normal((KINDS, self.dimension)), _KIND)
        bases = rng.standard_normal((KINDS, INTRINSIC, self.dimension)) / np.sqrt(self.dimension)
        made: dict[str, Any] = {
            "_kinds": kinds.astype(np.float32),
            "_bases": bases.astype(np.float32),
            "_centres": _of_length(rng.standard_normal((CLUSTERS, INTRINSIC)), _CENTRE).astype(np.float32),
            "_words": _zipf(rng, (CLUSTERS, 10)),
        }
        for name, value in made.items():
            object.__setattr__(self, name, value)

    def pieces(self) -> Iterator[tuple[list[ImageEntry], Floats]]:
        """Images with their vectors, ``count`` in all."""
        for number, (tags, vectors) in enumerate(self.rows()):
            begin = number * PIECE
            yield (
                [
                    ImageEntry(BUCKET, name_of(begin + row), f"{begin + row:x}", "starter@1", tags=tuple(words))
                    for row, words in enumerate(_names(tags))
                ],
                vectors,
            )

    def rows(self) -> Iterator[tuple[NDArray[np.int64], Floats]]:
        """The numbers of their words (n, 5), -1 for repetitions, and their vectors (n, dimension)."""
        for number in range(-(-self.count // PIECE)):
            yield self._made(number, min(PIECE, self.count - number * PIECE))

    def queries(self, count: int) -> Floats:
        """Other vectors of the same kind, (count, dimension)."""
        return self._made(_QUERIES, count)[1]

    def ids(self) -> NDArray[np.uint64]:
        """The ids of all images, in their order."""
        return np.array([image_id(BUCKET, name_of(number)) for number in range(self.count)], np.uint64)

    def _made(self, number: int, count: int) -> tuple[NDArray[np.int64], Floats]:
        rng = np.random.default_rng((self.seed, number))
        clusters = np.minimum(rng.zipf(1.05, count) % CLUSTERS, CLUSTERS - 1)
        clusters = np.where(rng.random(count) < 0.5, rng.integers(CLUSTERS, size=count), clusters)
        inside = self._centres[clusters] + _SPREAD * rng.standard_normal((count, INTRINSIC), np.float32) / np.sqrt(
            np.float32(INTRINSIC)
        )
        found = (
            _NOISE * rng.standard_normal((count, self.dimension), np.float32) / np.sqrt(np.float32(self.dimension))
        )
        kinds = clusters % KINDS
        for kind in range(KINDS):
            rows = np.flatnonzero(kinds == kind)
            found[rows] += self._kinds[kind] + inside[rows] @ self._bases[kind]
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        own = self._words[clusters[:, None], rng.integers(10, size=(count, 3))]
        tags = np.hstack([own, _zipf(rng, (count, TAGS - 3))])
        tags.sort(axis=1)
        tags[:, 1:][tags[:, 1:] == tags[:, :-1]] = -1
        return tags, found


def name_of(number: int) -> str:
    """The key of an image."""
    return f"{number // 1000:04}/{number:07}.jpg"


def word_of(number: int) -> str:
    """The word of a number."""
    return f"word-{number:05}"


def _names(tags: NDArray[np.int64]) -> Iterator[list[str]]:
    for row in tags.tolist():
        yield [word_of(number) for number in row if number >= 0]


def _zipf(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.int64]:
    weights = 1 / (np.arange(WORDS) + 3)
    return rng.choice(WORDS, size=shape, p=weights / weights.sum())


def _of_length(rows: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = length * rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled
