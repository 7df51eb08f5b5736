"""Shows that all near hashes are found, in tables as by comparing all with all."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.hash_search import FARTHEST, HashIndex
from tasks.images.perceptual_hash import TRANSFORMS, Words, word_variants

MANY = 9000  # hashes for which tables are made


def changed(values: Words, bits: int, draw: np.random.Generator) -> Words:
    """With so many different bits of each changed."""
    at = draw.permuted(np.tile(np.arange(64, dtype=np.uint64), (len(values), 1)), axis=1)[:, :bits]
    made: Words = values ^ (np.uint64(1) << at).sum(axis=1, dtype=np.uint64)
    return made


def hashes_with_copies(count: int, copies: int, word: int, bits: int) -> Words:
    """Random ones; the last ``copies`` are turned and changed copies of the first ones, in one word."""
    draw = np.random.default_rng(count + bits)
    hashes = draw.integers(0, 2**64, (count, 4), dtype=np.uint64)
    turns = np.arange(copies) % len(TRANSFORMS)
    made = word_variants(hashes[:copies, word], word)[turns, np.arange(copies)]
    hashes[-copies:, word] = changed(made, bits, draw)
    return hashes


@pytest.mark.parametrize("word", range(4))
@pytest.mark.parametrize("count", [500, MANY])
def test_every_copy_within_the_distance_is_found_in_every_orientation(count: int, word: int) -> None:
    hashes = hashes_with_copies(count, 200, word, FARTHEST)
    larger, smaller = HashIndex(hashes, [word], FARTHEST).near(np.arange(count))
    found = set(zip(larger.tolist(), smaller.tolist(), strict=True))
    assert found >= {(at, count - 200 + at) for at in range(200)}
    distances = np.bitwise_count(word_variants(hashes[larger, word], word) ^ hashes[smaller, word]).min(axis=0)
    assert distances.max() <= FARTHEST
    assert (larger < smaller).all()
    assert len(found) == len(larger)


@pytest.mark.long
def test_symmetric_hashes_are_found_in_tables() -> None:
    hashes = hashes_with_copies(MANY, 1, 0, 0)
    hashes[:8, 0] = [0, 1, 2**64 - 1, 2**63, 5, 3, 0, 2**64 - 1]  # many are their own mirror images in one part
    hashes[-8:, 0] = changed(hashes[:8, 0], 6, np.random.default_rng(3))
    larger, smaller = HashIndex(hashes, [0], FARTHEST).near(np.arange(8))
    assert set(zip(larger.tolist(), smaller.tolist(), strict=True)) >= {(at, MANY - 8 + at) for at in range(8)}


@pytest.mark.long
def test_hashes_are_near_if_one_of_the_words_is() -> None:
    for count in (500, MANY):
        hashes = hashes_with_copies(count, 50, 2, 4)
        larger, _ = HashIndex(hashes, [1, 2, 3], 4).near(np.arange(500))
        assert len(set(larger.tolist()) & set(range(50))) == 50
        assert not set(HashIndex(hashes, [1, 3], 4).near(np.arange(50))[0].tolist()) & set(range(50))


def test_no_hash_and_no_query_are_no_errors() -> None:
    none = np.empty(0, np.int64)
    assert len(HashIndex(np.empty((0, 4), np.uint64), [0], 8).near(none)[0]) == 0
    assert len(HashIndex(hashes_with_copies(MANY, 1, 0, 0), [0], 8).near(none)[0]) == 0


def test_a_distance_that_tables_cannot_serve_is_refused() -> None:
    with pytest.raises(ValueError, match="8 bits"):
        HashIndex(np.empty((0, 4), np.uint64), [0], FARTHEST + 1)
