"""Shows what the figures of a segmentation are when it is right, wrong, empty or called otherwise."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tasks.evaluation.overlaps import Compared, Overlaps, overlaps
from tasks.message_parts import Floats

CLASSES = ("background", "cat", "dog", "moka pot")
MAPS = arrays(np.uint8, (4, 5), elements=st.integers(0, 3))


def encode(texts: Sequence[str]) -> Floats:
    """Each text its own direction, but ``tabby`` near to ``cat``."""
    assert len(set(texts)) == len(texts)
    vectors = np.zeros((len(texts), 16), np.float32)
    for row, text in enumerate(texts):
        if text == "tabby":
            vectors[row, [1, 15]] = 0.8, 0.6
        else:
            vectors[row, CLASSES.index(text) if text in CLASSES else 4 + sum(map(ord, text)) % 11] = 1
    return vectors


def figures(*images: tuple[Sequence[str], object, object]) -> Overlaps:
    compared = [Compared.of(names, np.array(ours), np.array(true), len(CLASSES)) for names, ours, true in images]
    return overlaps(compared, CLASSES, encode)


def values(made: Overlaps) -> list[float]:
    return list(msgspec.to_builtins(made).values())


@given(st.lists(MAPS.filter(lambda labels: bool(labels.any())), min_size=1, max_size=3))
def test_the_truth_itself_reaches_one_in_all_figures_that_ask_for_names(maps: list[object]) -> None:
    made = figures(*[(CLASSES, one, one) for one in maps])
    hard = [made.jaccard_hard, made.recall_hard, made.jaccard_overlap, made.jaccard_soft, made.recall_soft]
    assert hard == pytest.approx([1] * 5)


@given(MAPS, MAPS)
def test_figures_are_between_0_and_1_and_the_numbering_of_names_does_not_matter(ours: object, true: object) -> None:
    made = figures((CLASSES, ours, true))
    turned = figures((CLASSES[::-1], 3 - np.array(ours), true))
    assert all(0 <= value <= 1 for value in values(made))
    assert (made.jaccard_hard, made.jaccard_soft, made.recall_soft) == pytest.approx(
        (turned.jaccard_hard, turned.jaccard_soft, turned.recall_soft)
    )


def test_a_name_that_is_near_counts_softly_and_as_the_nearest_but_not_hard() -> None:
    made = figures((("background", "tabby"), [[0, 1, 1, 0]], [[0, 1, 1, 0]]))
    assert made.jaccard_nearest == made.jaccard_overlap == 1
    assert made.recall_soft == pytest.approx(0.8)
    assert (made.recall_hard, made.jaccard_hard) == pytest.approx((1 / 2, 1 / 4))  # the background's and the cat's


def test_a_far_name_in_the_right_place_has_overlap_alone() -> None:
    made = figures((("background", "zebra"), [[0, 1, 1, 0]], [[0, 1, 1, 0]]))
    assert made.jaccard_overlap == 1
    assert (made.jaccard_nearest, made.recall_soft, made.jaccard_soft) == (0, 0, 0)


def test_each_class_counts_the_same_however_often_it_is_shown() -> None:
    cat = (CLASSES, [[1, 1]], [[1, 1]])
    missed = (CLASSES, [[0, 0]], [[2, 2]])
    assert figures(cat, cat, cat, missed).recall_soft == figures(cat, missed).recall_soft == 0.5


def test_without_images_or_with_nothing_but_background_all_is_told_without_a_crash() -> None:
    assert values(figures()) == [0] * 6
    made = figures((CLASSES, [[0, 0]], [[0, 0]]))
    assert (made.jaccard_hard, made.recall_hard, made.jaccard_nearest) == (1, 1, 0)


def test_maps_of_two_shapes_and_maps_without_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 2\), a target of \(2, 1\)"):
        Compared.of(CLASSES, np.zeros((1, 2), int), np.zeros((2, 1), int), 4)
    with pytest.raises(ValueError, match="0 names"):
        Compared.of((), np.zeros((1, 2), int), np.zeros((1, 2), int), 4)
