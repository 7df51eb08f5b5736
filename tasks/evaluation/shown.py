"""Measures the tags that are shown: whether a person accepts them, and whether their confidences are true.

Unlike the paper's metrics, which take one answer for every image, this counts the tags that the thresholds leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from tasks.calibration import calibration_error, interval, reliability
from tasks.evaluation.acceptance import Acceptance
from tasks.evaluation.answers import SHOWN, Answer
from tasks.evaluation.manifest import Item

LEVELS = tuple(round(0.05 * step, 2) for step in range(20))  # minimum confidences of the curve


class ShownFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a method on a set, or on the images of one subject of it.

    ``hit_at_1``, ``hit_at_5``: share of the images whose first tag, or one of the first five, is right, with the
    thresholds off. The others count shown tags: ``tags_shown`` per image; ``right``: the share of them that is right;
    ``with_right``: share of the images that show a right one; ``first_right``: share of the images that show any
    whose first is right; ``unknown``: share of the images that show none. ``calibration_error``: over all
    ``scored_tags``, with its 95 % bootstrap interval over images; ``None`` without confidences.
    """

    method: str
    subject: str
    images: int
    hit_at_1: float
    hit_at_5: float
    tags_shown: float
    right: float | None
    right_interval: tuple[float, float] | None
    with_right: float
    first_right: float | None
    unknown: float
    scored_tags: int
    calibration_error: float | None
    calibration_interval: tuple[float, float] | None


@dataclass(frozen=True)
class Curves:
    """What the report draws. ``bins``: see ``reliability``. ``levels``: minimum confidence, share right, share with a
    right tag; without levels at which nothing is shown.
    """

    bins: tuple[tuple[float, float, int], ...]
    levels: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class _Seen:
    """An answer, and whether its tags are right. ``scored``: confidences of all tags and whether they are right."""

    item: Item
    tags: list[bool]
    shown: list[bool]
    scored: list[tuple[float, bool]]


def shown_figures(
    method: str, items: Sequence[Item], answers: Sequence[Answer], acceptance: Acceptance
) -> tuple[list[ShownFigures], Curves]:
    """The figures of the whole set, then of each subject that is named in it; and the curves of the set."""
    seen = [_seen(item, answer, acceptance) for item, answer in zip(items, answers, strict=True)]
    subjects = sorted({item.subject for item in items if item.subject})
    parts = [("", seen), *((name, [one for one in seen if one.item.subject == name]) for name in subjects)]
    return [_figures(method, name, part) for name, part in parts], _curves(seen)


def _seen(item: Item, answer: Answer, acceptance: Acceptance) -> _Seen:
    shown = answer.tags if answer.shown is None else answer.shown
    scored = [(tag.label, tag.confidence) for tag in answer.scored if tag.confidence is not None]
    labels = [tag.label for tag in (*answer.tags, *shown)] + [label for label, _ in scored]
    right = dict(zip(labels, acceptance.right(labels, item.labels), strict=True))
    return _Seen(
        item,
        [right[tag.label] for tag in answer.tags[:SHOWN]],
        [right[tag.label] for tag in shown],
        [(confidence, right[label]) for label, confidence in scored],
    )


def _figures(method: str, subject: str, seen: Sequence[_Seen]) -> ShownFigures:
    count = len(seen)
    shown = np.array([right for one in seen for right in one.shown], bool)
    image = _numbers([one.shown for one in seen])
    firsts = [one.shown[0] for one in seen if one.shown]
    confidences, right, of = _scored(seen)
    enough = len(right) > 0
    return ShownFigures(
        method=method,
        subject=subject,
        images=count,
        hit_at_1=_share([bool(one.tags) and one.tags[0] for one in seen]),
        hit_at_5=_share([any(one.tags) for one in seen]),
        tags_shown=round(len(shown) / count, 3),
        right=_share(shown.tolist()) if len(shown) else None,
        right_interval=_rounded(interval(image, lambda at: float(shown[at].mean()))) if len(shown) else None,
        with_right=_share([any(one.shown) for one in seen]),
        first_right=_share(firsts) if firsts else None,
        unknown=_share([not one.shown for one in seen]),
        scored_tags=len(right),
        calibration_error=round(calibration_error(confidences, right), 4) if enough else None,
        calibration_interval=(
            _rounded(interval(of, lambda at: calibration_error(confidences[at], right[at]))) if enough else None
        ),
    )


def _curves(seen: Sequence[_Seen]) -> Curves:
    confidences, right, of = _scored(seen)
    if not len(right):
        return Curves((), ())
    levels = []
    for level in LEVELS:
        kept = confidences >= level
        if kept.any():
            levels.append((level, float(right[kept].mean()), len(np.unique(of[kept & right])) / len(seen)))
    return Curves(tuple(reliability(confidences, right)), tuple(levels))


def _scored(seen: Sequence[_Seen]) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    rows = [row for one in seen for row in one.scored]
    confidences = np.array([confidence for confidence, _ in rows], np.float64)
    right = np.array([is_right for _, is_right in rows], bool)
    return confidences, right, _numbers([one.scored for one in seen])


def _numbers(parts: Sequence[Sequence[object]]) -> NDArray[np.int64]:
    """For each element the number of its part."""
    return np.repeat(np.arange(len(parts)), [len(part) for part in parts])


def _share(values: Sequence[bool]) -> float:
    return round(sum(values) / max(1, len(values)), 4)


def _rounded(pair: tuple[float, float]) -> tuple[float, float]:
    return round(pair[0], 4), round(pair[1], 4)
