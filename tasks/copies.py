"""Copies: which pictures are copies of a larger one, by perceptual hash and vector together.

Where two hashes agree in nearly all details, nothing else is asked for. Where they agree less, the vectors must be
similar. Pictures that show small parts on a plain background (text, forms) must agree in nearly all details, because
other forms of one layout look the same to coarse hashes and to vectors. They are searched for by their details, since
thousands of forms may share the first word. The limits were chosen by measurement: ops/decisions/0027-duplicates.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from tasks.hash_search import HashIndex, Indices
from tasks.images.perceptual_hash import TRANSFORMS, WORDS, Words, has_small_parts, variants, word_variants
from tasks.message_parts import Floats

COARSE: Final = 8  # bits of 64 in which the first words of copies differ at most
DETAILS: Final = 48  # bits of 192 in which their other words differ at most
SAME_DETAILS: Final = 12  # up to which no vectors need to be similar
SMALL_PARTS: Final = 8  # as DETAILS, of pictures that show small parts; one of the three words differs by 2 at most
UNLIKE: Final = 0.95  # share of the pairs of different pictures that are less similar than copies
NO_LIMIT: Final = -1.0
_SAMPLE, _FEWEST = 512, 64  # pictures
_CANDIDATES = 1 << 20  # words that are compared before pictures are taken
_QUERIES = 1 << 14  # pictures whose copies are searched for at a time
_PAIRS = 1 << 13  # pairs whose vectors are held at a time

Booleans = npt.NDArray[np.bool_]
Vectors = Callable[[Indices], Floats]


class CopyOf(msgspec.Struct, frozen=True):
    """A picture that is a copy of a larger one, by index.

    ``transform``: what was done to the larger one, of ``TRANSFORMS``. ``distance``: bits of 256 in which the hashes
    differ. ``cosine``: of the vectors, ``None`` if one is not known.
    """

    larger: int
    smaller: int
    transform: str
    distance: int
    cosine: float | None


def copies(hashes: Words, vectors: Vectors, least_cosine: float) -> Iterator[CopyOf]:
    """Each picture that a larger one takes. One that takes others is taken by none.

    ``hashes``: (n, 4), of the largest picture first, none of zeros. ``vectors``: returns the unit vectors (k, d) of k
    pictures by index, a row of NaN for one that is not known. ``least_cosine``: of copies whose details differ.
    """
    small_parts = has_small_parts(hashes)
    details = range(1, WORDS)
    for some, words, distance, most in (
        (~small_parts, (0,), COARSE, DETAILS),
        (small_parts, details, SMALL_PARTS // len(details), SMALL_PARTS),
    ):
        places = np.flatnonzero(some)
        index = HashIndex(hashes[places], words, distance)
        free = np.ones(len(hashes), bool)
        for larger, smaller in _pairs(index, places, free):
            for one in _verified(hashes, larger, smaller, most, vectors, least_cosine):
                if free[one.larger] and free[one.smaller]:
                    free[one.smaller] = False
                    yield one


def _pairs(index: HashIndex, places: Indices, free: Booleans) -> Iterator[tuple[Indices, Indices]]:
    """Pairs of free pictures with near hashes, some thousands at a time. ``places``: of the index's hashes."""
    begin = 0
    while begin < len(places):
        queries = begin + np.flatnonzero(free[places[begin : begin + _QUERIES]])
        few = int(np.searchsorted(np.cumsum(index.candidates[queries]), _CANDIDATES)) + 1
        begin = int(queries[few]) if few < len(queries) else begin + _QUERIES
        larger, smaller = (places[found] for found in index.near(queries[:few]))
        for at in range(0, len(larger), _PAIRS):
            some = slice(at, at + _PAIRS)
            left = free[larger[some]] & free[smaller[some]]
            yield larger[some][left], smaller[some][left]


def usual_cosine(hashes: Words, vectors: Vectors) -> float:
    """The cosine that few pairs of different pictures exceed, from a sample; ``NO_LIMIT`` for few pictures.

    It depends on the space of the vectors and on what the pictures show. Among few pictures the hashes suffice.
    """
    sample = np.unique(np.linspace(0, len(hashes) - 1, min(_SAMPLE, len(hashes))).astype(np.int64))
    got = vectors(sample) if len(sample) >= _FEWEST else np.empty((0, 1), np.float32)
    known = np.isfinite(got).all(axis=1)
    if np.count_nonzero(known) < _FEWEST:
        return NO_LIMIT
    first = hashes[sample[known], 0]
    apart = np.bitwise_count(word_variants(first, 0)[:, :, None] ^ first).min(axis=0) > COARSE
    cosines = (got[known] @ got[known].T)[apart]
    return float(np.quantile(cosines, UNLIKE)) if len(cosines) else NO_LIMIT


def _verified(
    hashes: Words, larger: Indices, smaller: Indices, most: int, vectors: Vectors, least_cosine: float
) -> Iterator[CopyOf]:
    """The pairs that are copies, in the given order. ``most``: bits in which their details differ."""
    differing = np.bitwise_count(variants(hashes[larger]) ^ hashes[smaller]).astype(np.int64)
    totals = differing.sum(axis=2)
    turns, rows = totals.argmin(axis=0), np.arange(len(larger))
    coarse, total = differing[turns, rows, 0], totals[turns, rows]
    maybe = (coarse <= COARSE) & (total - coarse <= most)
    if not maybe.any():
        return
    larger, smaller, turns, total, coarse = (one[maybe] for one in (larger, smaller, turns, total, coarse))
    asked, places = np.unique(np.concatenate([larger, smaller]), return_inverse=True)
    got = vectors(asked)
    cosines = np.einsum("ij,ij->i", got[places[: len(larger)]], got[places[len(larger) :]])
    good = (total - coarse <= SAME_DETAILS) | (cosines >= least_cosine)
    for at in np.flatnonzero(good).tolist():
        cosine = round(float(cosines[at]), 4) if np.isfinite(cosines[at]) else None
        yield CopyOf(int(larger[at]), int(smaller[at]), TRANSFORMS[turns[at]], int(total[at]), cosine)
