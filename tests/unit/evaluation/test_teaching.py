"""Shows how teaching by one example is measured: which labels are lessons, which views are taken, what counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from tasks.evaluation.acceptance import Acceptance
from tasks.evaluation.retakes import RETAKES
from tasks.evaluation.teaching import Lesson, Outcome, carriers, lessons, outcome, summary
from tasks.message_parts import Floats

LABELS = [("tabby cat", "cat"), ("coffee", "cup"), ("cat",), ("coffee", "table"), ("rocket",)]


def apart(texts: Sequence[str]) -> Floats:
    """Vectors of texts that are all unlike."""
    rows = [np.random.default_rng(list(text.encode())).normal(size=64) for text in texts]
    return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)


ACCEPTANCE = Acceptance(apart)


def test_a_lesson_is_the_most_specific_label_that_no_tag_is_right_for() -> None:
    tags = [["cat"], ["mug", "coffee"], [], ["spoon"], ["missile", "rockets"]]
    assert lessons(tags, LABELS, ACCEPTANCE) == (Lesson(1, "cup"), Lesson(2, "cat"), Lesson(3, "coffee"))


def test_a_label_is_taught_once_and_lessons_are_spread_over_the_images() -> None:
    nothing: list[list[str]] = [[] for _ in LABELS]
    every = lessons(nothing, LABELS, ACCEPTANCE)
    assert [lesson.label for lesson in every] == ["tabby cat", "coffee", "cat", "table", "rocket"]
    assert lessons(nothing, LABELS, ACCEPTANCE, count=2) == (every[0], every[2])


def test_other_images_with_the_same_label_are_right_to_gain_it() -> None:
    lesson = Lesson(2, "cat")
    carrying = carriers(lesson, LABELS, ACCEPTANCE)
    assert carrying.tolist() == [True, False, True, False, False]
    found = outcome(lesson, [True, False], [True, True, True, False, False], carrying)
    assert found == Outcome(lesson, (True, False), others=3, strayed=(1,))


def test_the_summary_counts_lessons_and_averages_over_them() -> None:
    lesson = Lesson(0, "cat")
    found = summary(
        [
            Outcome(lesson, (True, True, True, True), 10, ()),
            Outcome(lesson, (True, True, True, False), 10, (3,)),
            Outcome(lesson, (True, False, False, False), 10, ()),
        ]
    )
    assert (found.lessons, found.everywhere, found.mostly) == (3, 1, 2)
    assert (round(found.views, 3), round(found.strayed, 3), found.worst) == (0.667, 0.033, 0.1)


@pytest.mark.parametrize("name", list(RETAKES))
def test_a_retake_is_another_view_without_empty_parts(name: str) -> None:
    draw = np.random.default_rng(0)
    image = Image.fromarray(draw.integers(100, 140, (300, 400, 3), dtype=np.uint8))
    before = image.tobytes()
    taken = RETAKES[name](image)
    assert taken.mode == "RGB"
    assert 0.5 < taken.width * taken.height / (400 * 300) <= 1
    assert int(np.asarray(taken).min()) >= 60, "no black corners"
    assert image.tobytes() == before != taken.tobytes()
