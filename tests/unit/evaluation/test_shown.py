"""Shows which tags count as right, and that the figures of shown tags are those of a plain count."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tasks.evaluation.acceptance import Acceptance, shares_words
from tasks.evaluation.answers import Answer
from tasks.evaluation.manifest import Item
from tasks.evaluation.shown import shown_figures
from tasks.message_parts import Floats, Tag
from workers.evaluation.plots import plots


def encode(texts: Sequence[str]) -> Floats:
    """ "wolf" is near to "dog"; all other texts are far from each other."""
    near = {"dog": [1.0, 0.0], "wolf": [0.7, 0.714]}
    rows = np.zeros((len(texts), 60), np.float32)
    for row, text in enumerate(texts):
        if text in near:
            rows[row, :2] = near[text]
        else:
            rows[row, 2 + sum(text.encode()) % 58] = 1
    return rows


@pytest.mark.parametrize(
    ("tag", "label", "same"),
    [
        ("cat", "tabby cat", True), ("tabby cats", "cat", True), ("Tabby-Cat", "tabby cat", True),
        ("cat", "catalogue", False), ("cat tree house", "cat house", False),
        ("", "cat", False),
    ],
)  # fmt: skip
def test_whole_words_in_either_direction(tag: str, label: str, *, same: bool) -> None:
    assert shares_words(tag, label) is same


def test_a_tag_is_right_by_any_label_or_by_its_meaning() -> None:
    right = Acceptance(encode).right(["wolf", "husky dog", "boat", "sea"], ["dog", "sea"])
    assert right == [True, True, False, True]


def tags(*found: tuple[str, float]) -> tuple[Tag, ...]:
    return tuple(Tag(label, 0.5, 0.5, 0.5, (), confidence) for label, confidence in found)


def test_figures_of_shown_tags_and_of_subjects() -> None:
    items = [
        Item(Path("1"), "dog", "line 2", ("puppy",), "animals"),
        Item(Path("2"), "boat", "line 3", (), "things"),
        Item(Path("3"), "lamp", "line 4", (), "things"),
    ]
    scored = [
        tags(("dog", 0.9), ("puppy", 0.8), ("cup", 0.1)),
        tags(("xylophone", 0.7), ("boat", 0.6)),
        tags(("vase", 0.2)),
    ]
    answers = [Answer(one, shown=tuple(tag for tag in one if tag.strength >= 0.6), scored=one) for one in scored]
    (whole, animals, things), curves = shown_figures("cased", items, answers, Acceptance(encode))
    assert (whole.images, whole.tags_shown) == (3, 1.333)
    assert (whole.right, whole.with_right) == (0.75, 0.6667)
    assert (whole.hit_at_1, whole.hit_at_5, whole.first_right, whole.unknown) == (0.3333, 0.6667, 0.5, 0.3333)
    assert (animals.subject, animals.right, things.subject, things.right) == ("animals", 1.0, "things", 0.5)
    assert whole.scored_tags == sum(count for _, _, count in curves.bins) == 6
    assert whole.calibration_error is not None
    assert [level for level, _, _ in curves.levels] == sorted(level for level, _, _ in curves.levels)
    assert max(level for level, _, _ in curves.levels) == 0.9
    drawn = plots("<cased>", curves)
    assert drawn.count("<svg") == drawn.count("</svg>") == 2
    assert "<cased>" not in drawn


def test_a_method_without_confidences_has_no_calibration() -> None:
    (whole,), curves = shown_figures(
        "closest-caption", [Item(Path("1"), "dog", "line 2")], [Answer((Tag("dog", 1, 1, 1),))], Acceptance(encode)
    )
    assert (whole.right, whole.calibration_error, whole.scored_tags) == (1.0, None, 0)
    assert plots("closest-caption", curves) == ""
