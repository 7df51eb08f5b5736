"""Shows what becomes of proposals: few and distinct, cropped with their surroundings dimmed, overlaps averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from tasks.segmentation.naming import Naming
from tasks.segmentation.regions import MOST, Regions, averaged, crop_of, is_plain, usable, with_unknown
from tasks.segmentation.results import Mask
from tasks.segmentation.run import segment
from tasks.segmenters.cells import Cells
from tests.unit.segmentation.test_dense import images, where
from tests.unit.segmentation.world import BLUE, GREY, RED, Proposed, halves, noisy, pipeline

MASKS = arrays(bool, (3, 4, 5))


def box(height: int, width: int, top: int, left: int, bottom: int, right: int) -> Mask:
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = True
    return mask


def test_each_region_gets_the_name_of_its_colour_and_grey_none() -> None:
    image = halves(RED, GREY)
    made = segment(image, Regions(Cells((2,))), pipeline())
    assert made.labels == ("unknown", "cat")
    assert np.array_equal(where(made, "cat"), box(128, 128, 0, 0, 128, 64))
    assert (made.encoded, made.segments[0].area) == (4, 0.5)
    assert "cat" in made.segments[0].evidence[0].caption


@given(arrays(np.float32, (3, 2), elements=st.floats(0, 1, width=32)), MASKS)
def test_overlaps_are_the_mean_of_the_regions_over_each_pixel(scores: Any, masks: Any) -> None:
    planes = averaged(scores, masks)
    for y in range(4):
        for x in range(5):
            over = [scores[at] for at in range(3) if masks[at, y, x]]
            expected = np.mean(over, axis=0) if over else np.array([1, 0])
            assert planes[:, y, x] == pytest.approx(expected, abs=1e-6)


def test_a_region_without_any_score_is_unknown() -> None:
    assert with_unknown(np.array([[0.25, 0.75], [0, 0]], np.float32)).tolist() == [[0, 0.25, 0.75], [1, 0, 0]]


@given(st.lists(arrays(bool, st.tuples(st.integers(1, 30), st.integers(1, 30))), max_size=6), st.integers(1, 3))
def test_usable_masks_are_few_fitting_distinct_and_not_small(masks: list[Any], most: int) -> None:
    found = usable(masks, (20, 25), most)
    assert found.shape[1:] == (20, 25)
    assert 1 <= len(found) <= most
    assert found.any(axis=(1, 2)).all()
    assert len({mask.tobytes() for mask in found}) == len(found)


def test_of_proposals_that_are_nearly_the_same_the_first_stays() -> None:
    one, other = box(100, 100, 0, 0, 50, 50), box(100, 100, 0, 0, 50, 49)
    assert np.array_equal(usable([one, other, ~one], (100, 100), 9), [one, ~one])


def test_a_region_is_looked_at_once_however_often_it_is_proposed() -> None:
    one = pipeline()
    left = box(128, 128, 0, 0, 128, 64)
    assert segment(halves(), Regions(Proposed([left] * 50)), one).encoded == images(one).seen == 1


def test_hundreds_of_proposals_are_bounded() -> None:
    one = pipeline()
    made = segment(halves(), Regions(Cells((20,))), one)
    assert made.encoded == images(one).seen == MOST


@pytest.mark.parametrize(("dimming", "outside"), [(0.0, BLUE), (0.5, (84, 84, 174)), (1.0, (127, 127, 127))])
def test_what_is_outside_of_a_region_is_dimmed_as_much_as_is_asked_for(
    dimming: float, outside: Sequence[int]
) -> None:
    image = Image.new("RGB", (40, 40), RED)
    image.paste(BLUE, (20, 0, 40, 20))
    mask = ~box(40, 40, 0, 20, 20, 40)
    crop = np.asarray(crop_of(image, mask, dimming, 20)).astype(int)
    assert crop[15, 5].tolist() == list(RED)
    assert np.abs(crop[3, 17] - outside).max() <= 1


def test_a_crop_is_the_box_of_its_region_in_the_image_whatever_the_masks_raster() -> None:
    image = Image.new("RGB", (400, 400), RED)
    image.paste(BLUE, (100, 200, 300, 400))
    crop = np.asarray(crop_of(image, box(4, 4, 2, 1, 4, 3), 0.0, 16))
    assert (crop[1:-1, 1:-1] == BLUE).all()  # pixels at the edge are mixed with those beyond


@pytest.mark.parametrize(("width", "height"), [(100, 100), (1000, 100), (100, 1000)])
@pytest.mark.parametrize("turned", [False, True])
def test_a_long_region_is_seen_with_its_surroundings_and_one_at_the_edge_too(
    width: int, height: int, turned: bool
) -> None:
    """The crop shows at least half as much of one side as of the other, where the image has it."""
    ramp = np.indices((height, width))[int(not turned)]
    image = Image.fromarray(np.repeat((ramp * 255 // ramp.max())[:, :, None], 3, axis=2).astype(np.uint8))
    for place in (0, 45, 90):
        mask = np.zeros((100, 100), bool)
        if turned:
            mask[place : place + 10] = True
        else:
            mask[:, place : place + 10] = True
        shown = np.asarray(crop_of(image, mask, 0.0, 64)).astype(int)[:, :, 0]
        across, along = (height, width) if turned else (width, height)
        seen = (shown.max() - shown.min()) / 255 * across
        assert seen >= min(0.5 * along, across) * 0.9
        assert seen <= max(0.5 * along, 0.1 * across) * 1.15 + 1


def test_a_wide_region_of_one_colour_is_plain_and_a_small_one_is_not() -> None:
    pixels = np.asarray(noisy(RED, 100, 100)).copy()
    pixels[10:90, 10:90] = BLUE
    wide, small = box(100, 100, 10, 10, 90, 90), box(100, 100, 20, 20, 40, 40)
    assert is_plain(pixels, wide, 6)
    assert not is_plain(pixels, small, 6)
    assert not is_plain(pixels, ~wide, 6)


def test_a_plain_background_is_unknown_unless_it_is_asked_for() -> None:
    image = Image.new("RGB", (128, 128), BLUE)
    image.paste(noisy(RED, 40, 40), (40, 40))
    inside = box(128, 128, 40, 40, 80, 80)
    found = Proposed([inside, ~inside])
    made = segment(image, Regions(found), pipeline())
    assert (made.labels, made.encoded) == (("unknown", "cat"), 1)
    assert set(segment(image, Regions(found, flat=None), pipeline()).labels) == {"unknown", "cat", "bridge"}


def test_candidates_can_come_from_the_whole_image() -> None:
    made = segment(noisy(RED, 64, 64), Regions(Cells((2,)), naming=Naming(source="image")), pipeline())
    assert (made.labels, made.encoded, made.looked_up) == (("unknown", "cat"), 5, 1)
