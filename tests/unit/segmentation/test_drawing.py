"""Shows that planes become segments: the highest wins, specks go to their surroundings, evidence is local."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tasks.message_parts import Hit
from tasks.segmentation.drawing import SIDE, Drawing, pieces_of, segmented, stretched, without_specks

MAPS = arrays(np.intp, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 2))


def drawing(labels: list[str], planes: Any, **given_: Any) -> Drawing:
    planes = np.asarray(planes, np.float32)
    parts = given_.get("parts", np.ones((1, *planes.shape[1:]), bool))
    return Drawing(tuple(labels), planes, parts, given_.get("hits", [{}] * len(parts)), 1, 1)


def planes_of(winners: Any, count: int) -> Any:
    return np.stack([np.asarray(winners) == at for at in range(count)]).astype(np.float32)


def flooded(winners: Any) -> set[frozenset[tuple[int, int]]]:
    """Pieces of one label but 0, found by walking from pixel to pixel."""
    left = {(int(y), int(x)) for y, x in np.argwhere(winners > 0)}
    found = set()
    while left:
        piece, edge = set(), [left.pop()]
        while edge:
            y, x = edge.pop()
            piece.add((y, x))
            near = {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            same = {place for place in near if winners[place] == winners[y, x]}
            left -= same
            edge += same
        found.add(frozenset(piece))
    return found


@given(MAPS)
def test_pieces_are_what_a_walk_over_neighbours_finds(winners: Any) -> None:
    pieces, labels = pieces_of(winners)
    ours = {frozenset((int(y), int(x)) for y, x in np.argwhere(pieces == n)) for n in range(1, len(labels) + 1)}
    assert ours == flooded(winners)
    assert all((winners[pieces == number] == label).all() for number, label in enumerate(labels, 1))


@given(MAPS, st.floats(0, 1))
def test_no_speck_is_left_but_a_picture_that_is_nothing_else(winners: Any, share: float) -> None:
    left = without_specks(winners, share)
    assert set(np.unique(left)) <= set(np.unique(winners))
    sizes = np.bincount(pieces_of(left + 1)[0].ravel())[1:]
    assert len(sizes) == 1 or sizes.min() >= share * left.size


def test_a_speck_goes_to_what_is_around_it_and_a_hole_is_filled() -> None:
    winners = np.full((20, 20), 1)
    winners[:, 10:] = 2
    winners[4, 4], winners[9, 15], winners[0, 0] = 2, 0, 3
    expected = np.full((20, 20), 1)
    expected[:, 10:] = 2
    assert np.array_equal(without_specks(winners, 0.01), expected)


def test_the_highest_plane_wins_and_the_first_of_equals() -> None:
    planes = np.array([[[0.5, 0.5]], [[0.5, 0.9]], [[0.2, 0.9]]], np.float32)
    winners, scores = stretched(planes, (2, 1))
    assert winners.tolist() == [[0, 1]]
    assert scores.tolist() == [[0.5, pytest.approx(0.9)]]


def test_segments_tell_box_share_score_and_mask() -> None:
    winners = np.zeros((10, 20), int)
    winners[2:6, 3:8], winners[2:6, 12:14] = 1, 1
    made = segmented(drawing(["cat"], planes_of(winners, 2) * 0.75), "dense", (20, 10))
    assert [(one.label, one.box, one.area, one.score) for one in made.segments] == [
        ("cat", (3, 2, 5, 4), 0.1, 0.75), ("cat", (12, 2, 2, 4), 0.04, 0.75),
    ]  # fmt: skip
    assert np.array_equal(made.label_map(), winners)
    assert (made.labels, made.width, made.height) == (("unknown", "cat"), 20, 10)


def test_a_large_image_gets_a_smaller_map_of_its_shape() -> None:
    winners = np.zeros((4, 4), int)
    winners[:, 2:] = 1
    size = (4 * SIDE, 3 * SIDE)
    made = segmented(drawing(["cat"], planes_of(winners, 2)), "dense", size)
    assert made.label_map().shape == made.shape == (SIDE * 3 // 4, SIDE)
    assert (made.width, made.height) == size
    (x, y, width, height) = made.segments[0].box
    assert (y, height, x + width) == (0, 3 * SIDE, 4 * SIDE)
    assert x == pytest.approx(2 * SIDE, abs=8)


def test_evidence_is_that_of_the_parts_a_segment_lies_on_the_nearest_first() -> None:
    winners = np.array([[1, 1, 0, 1, 1]])
    parts = np.array([[[1, 1, 0, 0, 0]], [[0, 0, 0, 1, 0]], [[0, 0, 0, 0, 1]]], bool)
    hits = [{"cat": (Hit(1, "one", 0.5), Hit(2, "two", 0.7))}, {"cat": (Hit(3, "three", 0.6),)}, {}]
    left, right = segmented(
        drawing(["cat"], planes_of(winners, 2), parts=parts, hits=hits), "dense", (5, 1), speck=0
    ).segments
    assert [one.caption for one in left.evidence] == ["two", "one"]
    assert [one.caption for one in right.evidence] == ["three"]


def test_a_segment_whose_parts_have_no_caption_is_explained_by_those_of_the_image() -> None:
    parts = np.array([[[1, 0, 0]], [[0, 0, 1]]], bool)
    hits = [{"cat": (Hit(1, "one", 0.5),)}, {}]
    winners = np.array([[1, 0, 1]])
    made = segmented(drawing(["cat"], planes_of(winners, 2), parts=parts, hits=hits), "dense", (3, 1), speck=0)
    assert [[one.id for one in segment.evidence] for segment in made.segments] == [[1], [1]]
