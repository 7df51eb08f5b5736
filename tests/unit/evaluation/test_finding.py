"""Shows that the figures of a search are those of a plain count."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.evaluation.finding import average_precision, finding_figures, queries_of
from tasks.evaluation.manifest import Item

ITEMS = [
    Item(Path("0"), "cat", "line 2", ("animal",)),
    Item(Path("1"), "dog", "line 3", ("animal",)),
    Item(Path("2"), "boat", "line 4"),
]


@pytest.mark.parametrize(
    ("hits", "right", "expected"),
    [
        ([0, 1, 2], {0}, 1.0), ([1, 2, 0], {0}, 1 / 3), ([0, 2, 1], {0, 1}, (1 + 2 / 3) / 2), ([1], {0}, 0.0),
        ([0], {0, 1}, 0.5), ([], {0}, 0.0),
    ],
)  # fmt: skip
def test_average_precision_counts_what_was_not_found_as_nothing(
    hits: list[int], right: set[int], expected: float
) -> None:
    assert average_precision(hits, frozenset(right)) == pytest.approx(expected)


def test_every_label_is_a_query_and_all_images_with_it_are_right() -> None:
    assert queries_of(ITEMS) == {
        "animal": frozenset({0, 1}), "boat": frozenset({2}), "cat": frozenset({0}), "dog": frozenset({1}),
    }  # fmt: skip


def test_figures_are_means_over_the_queries() -> None:
    found = finding_figures("made", lambda _: [0, 1, 2], ITEMS)
    assert (found.images, found.queries) == (3, 4)
    assert found.average_precision == pytest.approx((1 + 1 / 3 + 1 + 1 / 2) / 4, abs=1e-4)
    assert found.first_right == 0.5
    assert found.recall_at_10 == 1.0
    assert found.interval[0] <= found.average_precision <= found.interval[1]


def test_a_set_without_labels_has_no_figures() -> None:
    with pytest.raises(ValueError, match="no labels"):
        finding_figures("made", lambda _: [], [])
