"""Measures teaching by one example: teaches labels that tags miss, and looks at other views and at other images.

A *lesson* is an image and a label that none of its tags is right for. The label is taught on the image. It should
then be on the other views of the image (``tasks.evaluation.retakes``) and on no other image, unless that image
carries the label as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.acceptance import Acceptance
from tasks.evaluation.manifest import spread

LESSONS = 30
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Lesson:
    """``image``: position of the image. ``label``: what it is taught."""

    image: int
    label: str


@dataclass(frozen=True)
class Outcome:
    """What one lesson changed.

    ``views``: for each other view of the image whether it has the label. ``others``: number of other images that do
    not carry the label. ``strayed``: positions of those of them that gained it.
    """

    lesson: Lesson
    views: tuple[bool, ...]
    others: int
    strayed: tuple[int, ...]


@dataclass(frozen=True)
class Summary:
    """``lessons``: their number. ``everywhere``: lessons whose label is on every other view; ``mostly``: on three
    quarters of them. ``views``: the mean share of views with the label. ``strayed``: the mean share of other images
    that gained the label, and ``worst`` the largest share.
    """

    lessons: int
    everywhere: int
    mostly: int
    views: float
    strayed: float
    worst: float


def lessons(
    tags: Sequence[Sequence[str]],
    labels: Sequence[Sequence[str]],
    acceptance: Acceptance,
    count: int | None = LESSONS,
) -> tuple[Lesson, ...]:
    """At most ``count`` lessons, evenly spread over the images.

    ``tags``: of each image, as shown. ``labels``: of each image, the most specific first. The lesson of an image is
    its most specific label that no tag is right for and that is not the lesson of an earlier image. An image whose
    tags are right for all of its labels gives none.
    """
    found: list[Lesson] = []
    for at, (shown, true) in enumerate(zip(tags, labels, strict=True)):
        known = {lesson.label for lesson in found}
        missed = (one for one in true if one not in known and not (shown and any(acceptance.right(shown, [one]))))
        label = next(missed, None)
        if label is not None:
            found.append(Lesson(at, label))
    return spread(found, count)


def carriers(lesson: Lesson, labels: Sequence[Sequence[str]], acceptance: Acceptance) -> Bools:
    """(n,) For each image whether it carries the label of the lesson: there it is right."""
    return np.array([acceptance.right([lesson.label], true)[0] for true in labels], bool)


def outcome(lesson: Lesson, on_views: Sequence[bool], on_images: Sequence[bool], carrying: Bools) -> Outcome:
    """``on_views``: for each other view whether it has the label after teaching; ``on_images``: for each image."""
    other = ~carrying
    other[lesson.image] = False
    strayed = np.flatnonzero(other & np.asarray(on_images, bool))
    return Outcome(lesson, tuple(map(bool, on_views)), int(other.sum()), tuple(strayed.tolist()))


def summary(outcomes: Sequence[Outcome]) -> Summary:
    """Over at least one lesson. An image set without others counts as without strays."""
    shares = [float(np.mean(one.views)) for one in outcomes]
    strays = [len(one.strayed) / max(1, one.others) for one in outcomes]
    return Summary(
        lessons=len(outcomes), everywhere=sum(share == 1.0 for share in shares),
        mostly=sum(share >= 0.75 for share in shares), views=float(np.mean(shares)),
        strayed=float(np.mean(strays)), worst=max(strays),
    )  # fmt: skip
