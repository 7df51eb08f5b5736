"""Shows that copies share most bits of their hashes, in all orientations, and that different pictures do not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tasks.images.perceptual_hash import (
    PARTS,
    TRANSFORMS,
    has_small_parts,
    perceptual_hash,
    variants,
    word_variants,
    words_of,
)
from tests.unit.duplicates.drawings import compressed, cropped, drawn, form, halved, turned


def differing(one: Image.Image, other: Image.Image) -> int:
    first, second = words_of([perceptual_hash(one), perceptual_hash(other)])
    return int(np.bitwise_count(first ^ second).sum())


def test_the_hashes_of_turned_pictures_follow_from_one_hash() -> None:
    for seed in range(5):
        image = drawn(seed)
        made = variants(words_of([perceptual_hash(image)]))[:, 0]
        hashes = words_of([perceptual_hash(turned(image, transform)) for transform in TRANSFORMS])
        distances = np.bitwise_count(made[:, None] ^ hashes).sum(axis=-1)
        assert distances.diagonal().max() <= 3
        assert distances[~np.eye(len(TRANSFORMS), dtype=bool)].min() > 60


def test_each_part_of_a_word_turns_within_itself() -> None:
    begin = 0
    for bits in PARTS:
        inside = np.uint64(((1 << bits) - 1) << begin)
        for word in range(4):
            values = np.random.default_rng(word).integers(0, 2**64, 50, dtype=np.uint64)
            parts = word_variants(values & inside, word) & inside
            assert (parts == word_variants(values, word) & inside).all()
        begin += bits
    assert begin == 64


def test_turning_four_times_by_90_degrees_gives_the_same_hash() -> None:
    words = np.random.default_rng(1).integers(0, 2**64, (20, 4), dtype=np.uint64)
    once = words
    for _ in range(4):
        once = variants(once)[TRANSFORMS.index("rotated 90°")]
    assert (once == words).all()
    assert len(np.unique(variants(words)[:, 0], axis=0)) == len(TRANSFORMS)


def test_copies_differ_by_few_bits() -> None:
    image = drawn(3, (1200, 900))
    assert differing(image, compressed(image, 30)) <= 12
    assert differing(image, halved(image, 2)) <= 12
    assert differing(image, ImageEnhance.Brightness(image).enhance(0.8)) <= 12
    assert differing(image, image.convert("L").convert("RGB")) <= 12
    assert differing(image, cropped(image, 0.02)) <= 40


def test_different_pictures_differ_by_many_bits() -> None:
    hashes = words_of([perceptual_hash(drawn(seed)) for seed in range(40)])
    distances = np.bitwise_count(variants(hashes)[:, :, None] ^ hashes).sum(axis=-1).min(axis=0)
    assert distances[~np.eye(40, dtype=bool)].min() > 64


@pytest.mark.parametrize("level", [0, 130, 255])
def test_what_shows_nothing_has_no_hash(level: int) -> None:
    assert perceptual_hash(Image.new("RGB", (320, 240), (level, level, level))) is None
    assert perceptual_hash(Image.linear_gradient("L").convert("RGB")) is None
    noise = np.random.default_rng(1).normal(level, 2, (240, 320, 1)).clip(0, 255).astype(np.uint8)
    assert perceptual_hash(Image.fromarray(noise.repeat(3, axis=2))) is None
    assert words_of([None]).tolist() == [[0, 0, 0, 0]]


def test_text_on_a_plain_background_is_known_as_small_parts() -> None:
    pages = [form(seed) for seed in range(4)]
    assert has_small_parts(words_of([perceptual_hash(page) for page in pages])).all()
    assert has_small_parts(words_of([perceptual_hash(turned(page, "rotated 90°")) for page in pages])).all()
    assert not has_small_parts(words_of([perceptual_hash(drawn(seed)) for seed in range(20)])).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (3, 5), (5000, 20)])
def test_a_picture_of_any_size_is_hashed_or_has_no_hash(size: tuple[int, int]) -> None:
    made = perceptual_hash(drawn(1).resize(size))
    assert made is None or len(made) == 32


def test_a_hash_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        words_of([bytes(8)])
