"""Shows that crops and their accumulation are what a slow and plain reading of the paper gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tasks.message_parts import Floats
from tasks.segmentation.grids import accumulated, boxes_of, coverage, crops, grids

SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=3)
_SHARE = st.floats(0, 1, width=32)
BOXES = st.tuples(_SHARE, _SHARE, _SHARE, _SHARE)


def slowly(vectors: Floats, boxes: Floats, rows: int, columns: int) -> Floats:
    """The mean of what covers each cell, crop after crop and cell after cell."""
    cells = np.zeros((rows, columns, vectors.shape[1]), np.float64)
    for vector, (x, y, width, height) in zip(vectors, boxes, strict=True):
        left, top = int(x * np.float32(columns)), int(y * np.float32(rows))
        right, bottom = left + int(width * np.float32(columns)), top + int(height * np.float32(rows))
        for row in range(top, min(bottom, rows)):
            for column in range(left, min(right, columns)):
                cells[row, column] += vector
    for row in range(rows):
        for column in range(columns):
            length = float(np.linalg.norm(cells[row, column]))
            if length > 0:
                cells[row, column] /= length
    return cells.astype(np.float32)


@given(SIZES, st.booleans(), st.integers(1, 20), st.integers(1, 20), st.integers(0, 99))
def test_accumulation_is_the_unit_mean_of_the_crops_over_each_cell(
    sizes: list[int], half_strides: bool, rows: int, columns: int, seed: int
) -> None:
    boxes = boxes_of(grids(sizes, half_strides=half_strides))
    vectors = np.random.default_rng(seed).normal(size=(len(boxes), 3)).astype(np.float32)
    ours = accumulated(vectors, coverage(boxes, (rows, columns)))
    assert ours == pytest.approx(slowly(vectors, boxes, rows, columns), abs=1e-4)


@given(st.lists(BOXES, max_size=9), st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_accumulation_is_right_for_any_boxes(
    given_boxes: list[tuple[float, float, float, float]], rows: int, columns: int, seed: int
) -> None:
    boxes = np.array(given_boxes, np.float32).reshape(-1, 4)
    vectors = np.random.default_rng(seed).normal(size=(len(boxes), 3)).astype(np.float32)
    ours = accumulated(vectors, coverage(boxes, (rows, columns)))
    assert ours == pytest.approx(slowly(vectors, boxes, rows, columns), abs=1e-4)


def test_the_papers_grids_have_283_crops_and_leave_no_cell_of_the_papers_map_out() -> None:
    boxes = boxes_of(grids((2, 4, 8)))
    assert len(boxes) == 9 + 49 + 225
    covering = coverage(boxes, (16, 16)).sum(axis=0)
    assert (covering[4:-4, 4:-4].min(), covering.min()) == (12, 3)


@given(SIZES, st.booleans(), st.integers(1, 40), st.integers(1, 40))
def test_there_is_a_crop_for_every_box_however_small_the_image(
    sizes: list[int], half_strides: bool, width: int, height: int
) -> None:
    wanted = grids(sizes, half_strides=half_strides)
    found = list(crops(Image.new("RGB", (width, height)), wanted, 5))
    assert {crop.size for crop in found} == {(5, 5)}
    assert len(found) == len(boxes_of(wanted))


def test_a_crop_shows_what_its_box_covers() -> None:
    ramp = Image.fromarray(np.tile(np.arange(160, dtype=np.float32), (160, 1)))
    wanted = grids((2, 4))
    for crop, (x, _, width, _) in zip(crops(ramp, wanted), boxes_of(wanted), strict=True):
        assert np.asarray(crop).mean() == pytest.approx(160 * (x + width / 2) - 0.5, abs=0.01)
