"""Near hashes among millions, in any orientation, by multi-index hashing (Norouzi, Punjani, Fleet 2012).

Two words that differ in at most 8 bits differ in at most 2 bits of one of their three parts. So each part of a word
is looked up with all changes of at most 2 bits, in a table of that part. The tables hold each part in the orientation
that makes it smallest, so that one look-up serves all eight.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

from tasks.images.perceptual_hash import PARTS, TRANSFORMS, Words, word_variants

Indices = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int64]

FARTHEST = 8  # bits; more would need more changes of a part
_FEW = 8192  # hashes; so few are compared one with another, which takes less time than to make tables
_CANDIDATES = 1 << 16  # that are compared at a time: arrays that fit into a processor's cache
_VALUES = 1 << 18  # of a part, that are turned at a time


class HashIndex:
    """n hashes, to find those that have a word within ``distance`` bits of the same word, in any orientation.

    ``candidates``: (n,), the number of hashes that each is compared with: what ``near`` costs.
    """

    def __init__(self, hashes: Words, words: Sequence[int], distance: int) -> None:
        """``hashes``: (n, 4). ``words``: which count. Raises ``ValueError`` for a distance above ``FARTHEST``."""
        if not 0 <= distance <= FARTHEST:
            raise ValueError(f"hashes are compared up to a distance of {FARTHEST} bits, not {distance}")
        self._columns = {word: np.ascontiguousarray(hashes[:, word]) for word in words}
        self._distance = distance
        self._tables: list[_Table] = []
        self.candidates: Counts = np.full(len(hashes), len(hashes) * len(TRANSFORMS) * len(words), np.int64)
        if len(hashes) > _FEW:
            self.candidates = np.zeros(len(hashes), np.int64)
            for word, values in self._columns.items():
                for part in range(len(PARTS)):
                    table = _Table(values, word, part, distance // len(PARTS))
                    self._tables.append(table)
                    self.candidates += table.candidates(values)

    def near(self, queries: Indices) -> tuple[Indices, Indices]:
        """Pairs of a query and a later hash, ordered, each once. ``queries``: indices of hashes."""
        if not self._tables:
            return self._compared_with_all(queries)
        found = [table.near(self._columns[table.word], queries, self._distance) for table in self._tables]
        pairs = np.unique(np.concatenate(found))
        return pairs // len(self.candidates), pairs % len(self.candidates)

    def _compared_with_all(self, queries: Indices) -> tuple[Indices, Indices]:
        distances = np.full((len(queries), len(self.candidates)), 64, np.uint8)
        for word, values in self._columns.items():
            for turned in word_variants(values[queries], word):
                np.minimum(distances, np.bitwise_count(turned[:, None] ^ values), out=distances)
        rows, others = np.nonzero(distances <= self._distance)
        later = others > queries[rows]
        return queries[rows[later]], others[later]


class _Table:
    """One word of n hashes by one of its parts, which is looked up with all changes of at most ``most`` bits."""

    def __init__(self, values: Words, word: int, part: int, most: int) -> None:
        self.word = word
        self._bits = PARTS[part]
        self._shift = np.uint64(sum(PARTS[:part]))
        self._low = np.uint64((1 << self._bits) - 1)
        changed = (bits for count in range(most + 1) for bits in combinations(range(self._bits), count))
        self._changes = np.array([sum(1 << bit for bit in bits) for bits in changed], np.int32)
        least, self._turn = self._least()
        turned = word_variants(values, word)
        parts = self._part(turned)
        # a part may be its smallest in several orientations
        turns, at = np.nonzero(parts == least[parts[0]])
        keys = parts[turns, at]
        order = np.argsort(keys, kind="stable")
        self._at = at[order]
        self._turned = turned[turns, at][order]
        counts = np.bincount(keys, minlength=1 << self._bits)
        # by the part as it is, so that nothing is turned while it is looked up
        self._first = (np.cumsum(counts) - counts)[least].astype(np.int32)
        self._count = counts[least].astype(np.int32)

    def _part(self, values: Words) -> npt.NDArray[np.int32]:
        return ((values >> self._shift) & self._low).astype(np.int32)

    def _least(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
        """Of each value of the part: the smallest that it has in any orientation, and the first such orientation."""
        least = np.empty(1 << self._bits, np.int32)
        turns = np.empty(1 << self._bits, np.uint8)
        for begin in range(0, 1 << self._bits, _VALUES):
            values = np.arange(begin, begin + _VALUES, dtype=np.uint64)
            turned = self._part(word_variants(values << self._shift, self.word))
            turns[begin : begin + _VALUES] = turned.argmin(axis=0)
            least[begin : begin + _VALUES] = turned.min(axis=0)
        return least, turns

    def candidates(self, values: Words) -> Counts:
        """(n,): how many hashes share the part of each, changed or not, in an orientation."""
        parts = self._part(values)
        total = np.zeros(len(values), np.int64)
        for change in self._changes:
            total += self._count[parts ^ change]
        return total

    def near(self, values: Words, queries: Indices, distance: int) -> Indices:
        """Pairs of a query and a later hash within the distance, as query * n + hash; some twice."""
        keys = (self._part(values[queries])[:, None] ^ self._changes).ravel()
        hit = np.flatnonzero(self._count[keys])
        keys = keys[hit]
        rows = hit // len(self._changes)
        counts = self._count[keys].astype(np.int64)
        # each query as it is turned when its changed part is smallest
        turned = word_variants(values[queries], self.word)[self._turn[keys], rows]
        ends = np.cumsum(counts)
        offsets = self._first[keys] - (ends - counts)  # of the entries of a key from its candidates
        found = [np.empty(0, np.int64)]
        for begin, end in _pieces(ends):
            first = ends[begin] - counts[begin]
            entries = np.arange(first, ends[end - 1]) + np.repeat(offsets[begin:end], counts[begin:end])
            differing = self._turned[entries] ^ np.repeat(turned[begin:end], counts[begin:end])
            near = np.flatnonzero(np.bitwise_count(differing) <= distance)
            query = queries[rows[np.searchsorted(ends, first + near, side="right")]]
            other = self._at[entries[near]]
            found.append((query * len(values) + other)[other > query])
        return np.concatenate(found)


def _pieces(ends: Indices) -> list[tuple[int, int]]:
    """Slices of what has these cumulated counts, each with about ``_CANDIDATES``."""
    if not len(ends):
        return []
    cuts = np.searchsorted(ends, np.arange(_CANDIDATES, ends[-1], _CANDIDATES), side="right")
    bounds = np.unique(np.concatenate([[0], cuts, [len(ends)]])).tolist()
    return list(pairwise(bounds))
