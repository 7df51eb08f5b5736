"""Duplicates: groups of copies of one picture, by perceptual hash and vector together.

Copies are resized, compressed, brightened, turned or mirrored. Two pictures of one thing are none. The hash is the
sharp part; the vector rejects pictures that agree in their coarse shapes only. The limits were chosen by measurement:
ops/decisions/0027-duplicates.md.

A group is a star: each picture in it is a copy of its largest one, never merely a copy of a copy. So a series of
pictures, each a little different from the one before, does not end up in one group. Pictures are taken from the
largest to the smallest. One that no larger one has taken takes all its copies that are left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt

from tasks.hash_search import HashIndex, Indices
from tasks.images.perceptual_hash import SAME, TRANSFORMS, Hashes, variants
from tasks.messages import Floats

NO_HASH = 0  # no picture has it
DISTANCE = 8  # bits of 64
_CANDIDATES = 1 << 20  # hashes that are compared before their pictures are taken
_QUERIES = 1 << 14  # pictures of which copies are searched for at a time
_PAIRS = 1 << 13  # pictures whose vectors are compared at a time


class Copy(msgspec.Struct, frozen=True):
    """A picture of a group, compared with the group's first one.

    ``transform``: what was done to the first one, of ``TRANSFORMS``. ``distance``: of the hashes, in bits. ``cosine``:
    of the vectors. ``exact``: the bytes are the same, so nothing else was compared.
    """

    id: str
    pixels: int
    bytes: int
    transform: str = SAME
    distance: int = 0
    cosine: float = 1.0
    exact: bool = False


class Group(msgspec.Struct, frozen=True):
    """Copies of one picture, the largest first: by pixels, then by bytes. ``wasted``: bytes of all but the first."""

    copies: tuple[Copy, ...]
    wasted: int


class _Pair(msgspec.Struct, frozen=True):
    """A picture and a larger one that it is a copy of."""

    larger: int
    smaller: int
    transform: str
    distance: int
    cosine: float


def duplicates(
    ids: Sequence[str],
    hashes: Hashes,
    pixels: Sequence[int] | Indices,
    sizes: Sequence[int] | Indices,
    vectors: Callable[[Sequence[str]], Floats],
    *,
    digests: Sequence[str | None] | None = None,
    least_cosine: float,
) -> list[Group]:
    """The groups of two and more copies, those with the most wasted bytes first.

    ``ids``: n different ones. ``hashes``: (n,) uint64, ``NO_HASH`` where a picture has none. ``pixels``: areas.
    ``sizes``: bytes. ``vectors``: returns the unit vectors (k, d) of k ids, a row of NaN for one that it does not
    know; it is called for candidates only, for a few thousand ids at a time. ``digests``: of the bytes, where they are
    known: pictures of one digest and size are exact copies, with a hash or without. ``least_cosine``: of the vectors
    of copies. The order of the pictures does not matter. Raises ``ValueError`` for arguments of different lengths,
    repeated ids and vectors of a wrong shape.
    """
    digests = [None] * len(ids) if digests is None else digests
    if not len(ids) == len(hashes) == len(pixels) == len(sizes) == len(digests):
        raise ValueError("ids, hashes, pixels, sizes and digests must have one entry for each picture")
    if len(set(ids)) < len(ids):
        raise ValueError("an id is repeated: each picture must be given once")
    order = sorted(range(len(ids)), key=lambda at: (-int(pixels[at]), -int(sizes[at]), ids[at]))
    first_of: dict[object, int] = {}
    exact: dict[int, list[int]] = {}  # the largest of exact copies: all of them
    for at in order:
        digest = digests[at]
        exact.setdefault(first_of.setdefault(at if digest is None else (digest, int(sizes[at])), at), []).append(at)
    compared = np.array([at for at in exact if hashes[at] != NO_HASH], np.int64)
    taken: dict[int, list[tuple[int, _Pair]]] = defaultdict(list)
    apart = set(exact)
    known = np.asarray(hashes, np.uint64)[compared]
    for pair in _taken(known, lambda some: vectors([ids[at] for at in compared[some]]), least_cosine):
        larger, smaller = int(compared[pair.larger]), int(compared[pair.smaller])
        taken[larger].append((smaller, pair))
        apart.remove(smaller)

    def copy(at: int, pair: _Pair | None) -> Copy:
        about = ids[at], int(pixels[at]), int(sizes[at])
        return Copy(*about, pair.transform, pair.distance, pair.cosine) if pair else Copy(*about, exact=True)

    groups = []
    rank = {at: place for place, at in enumerate(order)}
    for first in exact:
        of_first = [(at, None) for at in exact[first]]
        near = [(at, pair) for smaller, pair in taken[first] for at in exact[smaller]]
        if first in apart and len(of_first) + len(near) > 1:
            found = [copy(at, pair) for at, pair in sorted([*of_first, *near], key=lambda one: rank[one[0]])]
            groups.append(Group(tuple(found), sum(one.bytes for one in found[1:])))
    return sorted(groups, key=lambda group: (-group.wasted, group.copies[0].id))


def _taken(hashes: Hashes, vectors: Callable[[Indices], Floats], least_cosine: float) -> Iterator[_Pair]:
    """Each picture that a larger one takes. ``hashes``: of the largest picture first."""
    index = HashIndex(hashes, DISTANCE)
    free = np.ones(len(hashes), bool)
    begin = 0
    while begin < len(hashes):
        queries = begin + np.flatnonzero(free[begin : begin + _QUERIES])
        few = int(np.searchsorted(np.cumsum(index.candidates[queries]), _CANDIDATES)) + 1
        begin = int(queries[few]) if few < len(queries) else begin + _QUERIES
        larger, smaller = index.near(queries[:few])
        for at in range(0, len(larger), _PAIRS):
            pairs = larger[at : at + _PAIRS], smaller[at : at + _PAIRS]
            open_ = free[pairs[0]] & free[pairs[1]]
            for pair in _verified(hashes, pairs[0][open_], pairs[1][open_], vectors, least_cosine):
                if free[pair.larger] and free[pair.smaller]:
                    free[pair.smaller] = False
                    yield pair


def _verified(
    hashes: Hashes, larger: Indices, smaller: Indices, vectors: Callable[[Indices], Floats], least_cosine: float
) -> Iterator[_Pair]:
    """The pairs that are copies, in the given order."""
    if not len(larger):
        return
    differing = np.bitwise_count(variants(hashes[larger]) ^ hashes[smaller])
    turns, distances = differing.argmin(axis=0), differing.min(axis=0)
    asked, rows = np.unique(np.concatenate([larger, smaller]), return_inverse=True)
    got = vectors(asked)
    if got.ndim != 2 or len(got) != len(asked):
        raise ValueError(f"{len(asked)} vectors were asked for, and the answer has the shape {got.shape}")
    cosines = np.einsum("ij,ij->i", got[rows[: len(larger)]], got[rows[len(larger) :]])
    for at in np.flatnonzero(cosines >= least_cosine).tolist():
        yield _Pair(
            int(larger[at]), int(smaller[at]), TRANSFORMS[turns[at]], int(distances[at]), round(float(cosines[at]), 4)
        )
