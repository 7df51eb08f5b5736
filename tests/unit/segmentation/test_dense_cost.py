"""Shows that dense pays for its crops once and for hardly anything else, however large the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tasks.cache import Cache
from tasks.extraction import Extractor, extractor
from tasks.message_parts import Candidate, Floats, Hit
from tasks.segmentation.dense import Dense, fitting, is_flat
from tasks.segmentation.run import segment
from tests.unit.segmentation.world import RED, Colours, Searches, halves, noisy, pipeline


class Sizes(Colours):
    """Keeps the sizes of what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: set[tuple[int, int]] = set()

    def encode(self, images: Sequence[Image.Image]) -> Floats:
        self.sizes |= {image.size for image in images}
        return super().encode(images)


@dataclass
class Counted:
    """An extractor that counts its calls."""

    inner: Extractor = field(default_factory=extractor)
    asked: int = 0

    def candidates(self, retrieved: Sequence[Sequence[Hit]], cache: Cache) -> list[tuple[Candidate, ...]]:
        self.asked += 1
        return self.inner.candidates(retrieved, cache)

    def warm(self) -> None:
        self.inner.warm()


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 255), st.integers(0, 12), st.integers(0, 8))
def test_one_colour_is_what_no_channel_differs_in(
    width: int, height: int, base: int, noise: int, levels: int
) -> None:
    seed = width + 10 * height + 100 * base
    drawn = np.random.default_rng(seed).integers(0, noise + 1, size=(height, width, 3))
    pixels = np.clip(base + drawn, 0, 255).astype(np.uint8)
    differ = max(int(pixels[:, :, at].max()) - int(pixels[:, :, at].min()) for at in range(3))
    assert is_flat(Image.fromarray(pixels), levels) == (differ <= levels)


def test_cells_that_look_alike_are_searched_for_once_and_in_one_call() -> None:
    extracting = Counted()
    one = replace(pipeline(), extractor=extracting)
    made = segment(halves(), Dense(), one)
    assert isinstance(one.index, Searches)
    # of 256 cells: the two colours, and what crops over both of them mix
    assert one.index.looked_up == made.looked_up < 16
    assert extracting.asked == 1


def test_what_an_image_left_in_the_cache_does_not_change_the_next_time() -> None:
    one = pipeline()
    assert segment(halves(), Dense(), one) == segment(halves(), Dense(), one)


@pytest.mark.parametrize("size", [(64, 64), (640, 480), (100, 30)])
def test_an_image_is_as_large_as_crops_of_the_finest_grid_need_and_no_larger(size: tuple[int, int]) -> None:
    image = noisy(RED, *size)
    fitted = fitting(image, 64)
    assert fitted.size == (min(size[0], 64), min(size[1], 64))
    if size == fitted.size:
        assert fitted is image


def test_a_large_image_has_the_segments_of_the_same_image_made_small() -> None:
    small = halves(side=64)
    large = small.resize((1024, 1024), Image.Resampling.BILINEAR)
    shown = Sizes()
    of_large = segment(large, Dense(), replace(pipeline(), image_encoder=shown))
    of_small = segment(small, Dense(), pipeline())
    assert shown.sizes == {(Sizes.side, Sizes.side)}
    assert of_large.labels == of_small.labels
    areas = [sorted(segment.area for segment in made.segments) for made in (of_large, of_small)]
    assert areas[0] == pytest.approx(areas[1], abs=0.04)


def test_refining_ends_when_no_crop_over_disputed_cells_is_left_out() -> None:
    one, plain = pipeline(), pipeline()
    coarse, full = (segment(halves(), Dense(refine=refine), made) for refine, made in ((True, one), (False, plain)))
    assert coarse.encoded < full.encoded
    # cells are named after each look: once more than for all crops at once, at the least
    assert coarse.looked_up > full.looked_up
    # two colours dispute the columns beside their border alone, so the crops far from it are never looked at
    assert isinstance(one.image_encoder, Colours)
    assert one.image_encoder.seen == coarse.encoded
    assert 122 < coarse.encoded < 200


def test_without_any_dispute_nothing_is_refined() -> None:
    made = segment(noisy(RED, 64, 64), Dense(refine=True), pipeline())
    assert made.encoded == 9 + 49 + 64
