"""Shows that copies of one picture are grouped, and that other pictures are left apart."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.copies import DETAILS, NO_LIMIT, SMALL_PARTS, usual_cosine
from tasks.duplicates import Copy, Group, duplicates
from tasks.images.perceptual_hash import TRANSFORMS, Words, perceptual_hash, variants, words_of
from tasks.vector_maths import Floats
from tests.unit.duplicates.drawings import TURNS, compressed, cropped, drawn, form, halved, turned
from tests.unit.stages.made_up import random_units


class Library:
    """Pictures by hash and vector. ``asked``: how many vectors were asked for at a time."""

    def __init__(self, hashes: Words, vectors: Floats, pixels: Sequence[int] | None = None) -> None:
        self.ids = [f"photos/{at:06}.jpg" for at in range(len(hashes))]
        self.hashes, self.rows = hashes, dict(zip(self.ids, vectors, strict=True))
        self.pixels = list(pixels) if pixels is not None else [1000 - at for at in range(len(hashes))]
        self.sizes = [10 + at for at in range(len(hashes))]
        self.asked: list[int] = []

    def vectors(self, ids: Sequence[str]) -> Floats:
        self.asked.append(len(ids))
        return np.stack([self.rows[one] for one in ids])

    def duplicates(self, order: Sequence[int] | None = None, **options: Any) -> list[Group]:
        at = list(range(len(self.ids)) if order is None else order)
        return duplicates(
            [self.ids[one] for one in at], self.hashes[at], [self.pixels[one] for one in at],
            [self.sizes[one] for one in at], self.vectors, **options,
        )  # fmt: skip


def library(*pictures: Image.Image, vectors: Floats | None = None) -> Library:
    """Of pictures, the vectors of which are all the same."""
    made = np.tile(random_units(1, 1), (len(pictures), 1)) if vectors is None else vectors
    pixels = [one.width * one.height for one in pictures]
    return Library(words_of([perceptual_hash(one) for one in pictures]), made, pixels)


def changed(words: Words, bits: Sequence[int], seed: int = 1) -> Words:
    """One hash (4,) with so many different bits of each word changed, the mark of small parts excepted."""
    draw = np.random.default_rng(seed)
    masks = [sum(1 << int(bit) for bit in draw.choice(63, count, replace=False)) for count in bits]
    made: Words = words ^ np.array(masks, np.uint64)
    return made


def random_hashes(count: int, seed: int = 1) -> Words:
    """Of pictures without small parts."""
    hashes = np.random.default_rng(seed).integers(0, 2**64, (count, 4), dtype=np.uint64)
    hashes[:, 1] &= np.uint64(2**63 - 1)
    return hashes


def names(groups: Sequence[Group]) -> list[list[int]]:
    return [[int(one.id.removesuffix(".jpg").split("/")[1]) for one in group.copies] for group in groups]


def test_copies_are_grouped_with_the_largest_first_and_other_pictures_are_not() -> None:
    image = drawn(1, (640, 480))
    found = library(
        halved(image), drawn(2), image, compressed(image, 40), cropped(image, 0.02), drawn(3), halved(image, 2)
    ).duplicates()
    assert names(found) == [[3, 2, 4, 0, 6]]
    first, *others = found[0].copies
    assert (first.distance, first.cosine, first.exact) == (0, 1.0, True)
    assert not any(one.exact for one in others)
    assert found[0].wasted == sum(one.bytes for one in others)


@pytest.mark.parametrize("transform", TURNS)
def test_a_turned_copy_is_found_with_what_was_done_to_it(transform: str) -> None:
    image = drawn(4, (640, 480))
    found = library(image, compressed(turned(halved(image), transform), 80)).duplicates()
    assert [one.transform for group in found for one in group.copies] == ["same", transform]


def test_forms_of_one_layout_are_no_copies_but_a_compressed_form_is_one() -> None:
    forms = [form(seed) for seed in range(12)]
    assert library(*forms).duplicates() == []
    assert names(library(*forms, compressed(forms[5], 50)).duplicates()) == [[12, 5]]


def test_vectors_must_be_similar_where_details_differ() -> None:
    first = random_hashes(1)[0]
    hashes = np.stack([first, changed(first, (3, 8, 8, 8)), changed(first, (3, 4, 4, 4))])
    apart = np.eye(3, dtype=np.float32)
    assert names(Library(hashes, apart).duplicates(least_cosine=0.5)) == [[0, 2]]
    assert names(Library(hashes, np.ones((3, 1), np.float32)).duplicates(least_cosine=0.5)) == [[0, 1, 2]]
    unknown = np.full((3, 3), np.nan, np.float32)
    (group,) = Library(hashes, unknown).duplicates(least_cosine=0.5)
    assert [one.cosine for one in group.copies] == [1.0, None]


def test_more_differing_bits_than_the_limits_are_no_copy() -> None:
    first = random_hashes(1)[0]
    same = np.ones((2, 1), np.float32)
    within, coarse, details = (8, DETAILS, 0, 0), (9, 0, 0, 0), (0, DETAILS + 1, 0, 0)
    for bits, expected in ((within, [[0, 1]]), (coarse, []), (details, [])):
        assert names(Library(np.stack([first, changed(first, bits)]), same).duplicates()) == expected
    first[1] |= np.uint64(1 << 63)  # small parts
    for count, expected in ((SMALL_PARTS, [[0, 1]]), (SMALL_PARTS + 1, [])):
        assert names(Library(np.stack([first, changed(first, (8, 0, 0, count))]), same).duplicates()) == expected


def test_a_chain_does_not_join_what_is_unlike() -> None:
    chain = [random_hashes(1)[0]]
    for step in range(6):
        turn = np.zeros(4, np.uint64)
        turn[0] = np.uint64(0b111111 << (6 * step))  # six bits further from the first
        chain.append(chain[-1] ^ turn)
    found = Library(np.stack(chain), np.ones((7, 1), np.float32)).duplicates()
    assert names(found) == [[4, 5], [2, 3], [0, 1]]


def test_a_picture_that_was_taken_takes_no_others() -> None:
    first = random_hashes(1)[0]
    second = first ^ np.array([0b1111110, 0, 0, 0], np.uint64)
    third = second ^ np.array([0b1111110 << 10, 0, 0, 0], np.uint64)
    assert names(Library(np.stack([first, second, third]), np.ones((3, 1), np.float32)).duplicates()) == [[0, 1]]
    assert names(Library(np.stack([second, first, third]), np.ones((3, 1), np.float32)).duplicates()) == [[0, 1, 2]]


def test_exact_copies_belong_together_with_and_without_a_hash() -> None:
    hashes = random_hashes(5)
    hashes[3:] = 0
    some = Library(hashes, random_units(1, 5))
    some.sizes = [10, 10, 11, 12, 12]
    found = some.duplicates(digests=["a", "a", "a", "b", "b"])
    assert names(found) == [[3, 4], [0, 1]]
    assert all(one.exact for group in found for one in group.copies)
    assert names(some.duplicates()) == []


def test_exact_copies_of_a_copy_come_with_it() -> None:
    image = drawn(1, (640, 480))
    some = library(image, halved(image), halved(image))
    some.sizes = [30, 10, 10]
    (group,) = some.duplicates(digests=[None, "a", "a"])
    assert [(one.id[-5], one.exact) for one in group.copies] == [("0", True), ("1", False), ("2", False)]
    assert group.wasted == 20


def test_the_order_of_the_pictures_does_not_matter() -> None:
    hashes = random_hashes(300)
    hashes[100:200] = variants(hashes[:100])[np.arange(100) % 8, np.arange(100)]
    hashes[200:] = [changed(one, (3, 9, 9, 9), seed) for seed, one in enumerate(hashes[:100])]
    vectors = random_units(2, 300)
    vectors[100:] = np.tile(vectors[:100], (2, 1))
    some = Library(hashes, vectors, [1000] * 300)
    found = some.duplicates()
    assert len(found) == 100
    assert {len(group.copies) for group in found} == {3}
    assert {one.transform for group in found for one in group.copies} == set(TRANSFORMS)
    for seed in range(3):
        assert some.duplicates(np.random.default_rng(seed).permutation(300).tolist()) == found


def test_the_usual_cosine_is_that_of_different_pictures() -> None:
    hashes, vectors = random_hashes(400), random_units(3, 400, 256)
    hashes[200:] = hashes[0]  # half of them are one picture
    vectors[200:] = vectors[0]
    least = usual_cosine(hashes, lambda at: vectors[at])
    assert 0.08 < least < 0.13  # 1.64 / 16
    assert usual_cosine(hashes[:63], lambda at: vectors[at]) == NO_LIMIT


@pytest.mark.long
@pytest.mark.timeout(120)
def test_100_000_pictures_take_seconds_and_few_vectors() -> None:
    count, copies = 100_000, 5_000
    hashes = random_hashes(count)
    turns = np.arange(copies) % 8
    made = variants(hashes[:copies])[turns, np.arange(copies)]
    hashes[-copies:] = made ^ np.array([0b11011, 0b111, 0b111, 0b111], np.uint64)
    hashes[-3 * copies : -copies] = hashes[-1]  # one picture thousands of times
    some = Library(hashes, random_units(1, count), list(range(count, 0, -1)))
    begin = time.process_time()
    found = some.duplicates()
    assert time.process_time() - begin < 60  # 4 s on a free processor
    assert len(found) == copies
    assert max(len(group.copies) for group in found) == 2 * copies + 2
    assert sum(some.asked) < 60_000
    assert max(some.asked) <= 2**14


@pytest.mark.long
def test_pictures_that_share_a_layout_take_seconds() -> None:
    hashes = np.repeat(random_hashes(1), 20_000, axis=0)
    hashes[:, 2:] = random_hashes(20_000)[:, 2:]
    hashes[:, 1] = random_hashes(20_000, 2)[:, 1] | np.uint64(1 << 63)
    some = Library(hashes, random_units(1, 20_000), list(range(20_000, 0, -1)))
    begin = time.process_time()
    assert some.duplicates() == []
    assert time.process_time() - begin < 60


def test_what_does_not_fit_together_is_refused() -> None:
    hashes, vectors = random_hashes(2), random_units(1, 2)
    with pytest.raises(ValueError, match="one entry for each picture"):
        duplicates(["a"], hashes, [1, 1], [1, 1], lambda _: vectors)
    with pytest.raises(ValueError, match="repeated"):
        duplicates(["a", "a"], hashes, [1, 1], [1, 1], lambda _: vectors)
    with pytest.raises(ValueError, match="2 vectors were asked for"):
        duplicates(["a", "b"], hashes[[0, 0]], [1, 1], [1, 1], lambda _: vectors[:1])
    assert duplicates([], random_hashes(0), [], [], lambda _: vectors) == []


def test_a_first_copy_has_the_defaults() -> None:
    assert Copy("a", 4, 5) == Copy("a", 4, 5, "same", 0, 1.0, exact=True)
