"""Copies: which pictures are copies of a larger one, by perceptual hash and vector together.

Where two hashes agree in nearly all details, nothing else is asked for. Where they agree less, the vectors must be
similar. Of pictures that show small parts on a plain background (text, forms) only the former are copies, because
another form of one layout looks the same to the first word and to vectors. The limits were chosen by measurement:
ops/decisions/0027-duplicates.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec
import numpy as np

from tasks.hash_search import HashIndex, Indices
from tasks.images.perceptual_hash import TRANSFORMS, Words, has_small_parts, variants
from tasks.message_parts import Floats

COARSE: Final = 8  # bits of 64 in which the first words of copies differ at most
DETAILS: Final = 48  # bits of 192 in which their other words differ at most
SAME_DETAILS: Final = 12  # up to which no vectors need to be similar
UNLIKE: Final = 0.95  # share of the pairs of different pictures that are less similar than copies
NO_LIMIT: Final = -1.0
_SAMPLE, _FEWEST = 512, 64  # pictures
_CANDIDATES = 1 << 20  # words that are compared before pictures are taken
_QUERIES = 1 << 14  # pictures whose copies are searched for at a time
_PAIRS = 1 << 13  # pairs whose vectors are held at a time

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
    index = HashIndex(np.ascontiguousarray(hashes[:, 0]), COARSE)
    free = np.ones(len(hashes), bool)
    begin = 0
    while begin < len(hashes):
        queries = begin + np.flatnonzero(free[begin : begin + _QUERIES])
        few = int(np.searchsorted(np.cumsum(index.candidates[queries]), _CANDIDATES)) + 1
        begin = int(queries[few]) if few < len(queries) else begin + _QUERIES
        larger, smaller = index.near(queries[:few])
        for at in range(0, len(larger), _PAIRS):
            some = slice(at, at + _PAIRS)
            left = free[larger[some]] & free[smaller[some]]
            for one in _verified(hashes, larger[some][left], smaller[some][left], vectors, least_cosine):
                if free[one.larger] and free[one.smaller]:
                    free[one.smaller] = False
                    yield one


def usual_cosine(hashes: Words, vectors: Vectors) -> float:
    """The cosine that few pairs of different pictures exceed, from a sample; ``NO_LIMIT`` for few pictures.

    It depends on the space of the vectors and on what the pictures show. Among few pictures the hashes suffice.
    """
    sample = np.unique(np.linspace(0, len(hashes) - 1, min(_SAMPLE, len(hashes))).astype(np.int64))
    got = vectors(sample) if len(sample) >= _FEWEST else np.empty((0, 1), np.float32)
    known = np.isfinite(got).all(axis=1)
    if np.count_nonzero(known) < _FEWEST:
        return NO_LIMIT
    first = hashes[sample[known], :1]
    apart = np.bitwise_count(variants(first) ^ first[:, 0]).min(axis=0) > COARSE
    cosines = (got[known] @ got[known].T)[apart]
    return float(np.quantile(cosines, UNLIKE)) if len(cosines) else NO_LIMIT


def _verified(
    hashes: Words, larger: Indices, smaller: Indices, vectors: Vectors, least_cosine: float
) -> Iterator[CopyOf]:
    """The pairs that are copies, in the given order."""
    differing = np.bitwise_count(variants(hashes[larger]) ^ hashes[smaller]).astype(np.int64)
    totals = differing.sum(axis=2)
    turns, rows = totals.argmin(axis=0), np.arange(len(larger))
    coarse, total = differing[turns, rows, 0], totals[turns, rows]
    text = has_small_parts(hashes[larger]) | has_small_parts(hashes[smaller])
    maybe = (coarse <= COARSE) & (total - coarse <= np.where(text, SAME_DETAILS, DETAILS))
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
