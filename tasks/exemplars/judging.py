"""Decides which labels images gain from exemplars, and which labels are withheld from them.

An image looks like an exemplar if its distance is at most the exemplar's radius (``tasks.exemplars.nearness``). The
*relative* distance is the distance divided by that radius: 0 for a copy, 1 at the limit. For each label the exemplar
with the smallest relative distance decides: the label is gained if a person accepted it there, and withheld if a
person rejected it there. If both are equally near, it is withheld.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.confidence import DIGITS
from tasks.exemplars.nearness import Calibration, Numbers
from tasks.labels.index_form import index_form
from tasks.message_parts import Floats, Judgement, Likeness

# logistic regression over the relative distance, see ops/decisions/0029-exemplars.md
INTERCEPT = 7.2
SLOPE = -10.8
TIE = 1e-3  # smaller differences of relative distances are rounding


@dataclass(frozen=True, eq=False)
class Exemplar:
    """What a person said of an image. ``object_id``: ``bucket/key`` of the image. ``vector``: (d,), unit length."""

    object_id: str
    label: str
    accepted: bool
    vector: Floats


NOTHING = Judgement()


class Examples:
    """Exemplars of one space with their radii, ready to judge images. The order of the exemplars does not matter."""

    def __init__(self, exemplars: Iterable[Exemplar], calibration: Calibration) -> None:
        """Exemplars of one object and label in several spellings count as one; the first spelling is shown."""
        unique: dict[tuple[str, str, bool], Exemplar] = {}
        for one in sorted(exemplars, key=lambda one: (one.object_id, one.label, one.accepted)):
            unique.setdefault((one.object_id, index_form(one.label), one.accepted), one)
        self.exemplars = tuple(unique.values())
        self._forms = [form for _, form, _ in unique]
        # in float64, so that equal exemplars are equally near whatever stands beside them
        self._vectors = np.stack([one.vector for one in self.exemplars]).astype(np.float64) if unique else None
        self._ids = np.array([one.object_id for one in self.exemplars])
        self.radii: Numbers = np.array([calibration.radius(one.vector) for one in self.exemplars])

    @property
    def least_similarities(self) -> list[float]:
        """For each of ``exemplars`` the cosine from which on an image looks like it: limits for an index search."""
        return [1.0 - float(radius) for radius in self.radii]

    def judge(
        self,
        vectors: Floats,
        *,
        object_ids: Sequence[str] = (),
        featureless: Sequence[bool] = (),
        min_confidence: float = 0.0,
    ) -> list[Judgement]:
        """One judgement for each row of ``vectors`` (n, d; unit length). The rows are independent.

        ``object_ids``: of the images; an image's own exemplars do not count for it, since what a person said of it
        holds anyway. ``featureless``: whether each image shows nothing; such an image gains no label, and none is
        withheld from it. ``min_confidence``: less sure likenesses do not count.
        """
        own: Sequence[str | None] = object_ids or [None] * len(vectors)
        nothing = featureless or [False] * len(vectors)
        return [
            NOTHING if shows_nothing else self._one(vector, object_id, min_confidence)
            for vector, object_id, shows_nothing in zip(vectors, own, nothing, strict=True)
        ]

    def _one(self, vector: Floats, own: str | None, least: float) -> Judgement:
        if self._vectors is None:
            return NOTHING
        similarities = (self._vectors @ vector).round(12)
        # rounding may put the similarity of a copy above 1
        relative = np.maximum(1.0 - similarities, 0.0) / self.radii
        near = relative <= 1.0
        if own is not None:
            near &= self._ids != own
        places = np.flatnonzero(near)
        places = places[np.argsort(relative[places], kind="stable")]
        return self._decided(places, similarities, relative, least) if len(places) else NOTHING

    def _decided(self, places: NDArray[np.intp], similarities: Numbers, relative: Numbers, least: float) -> Judgement:
        """``places``: of the exemplars that the image looks like, nearest first."""
        nearest: dict[str, int] = {}
        for at in places.tolist():
            first = nearest.setdefault(self._forms[at], at)
            if relative[at] - relative[first] <= TIE and not self.exemplars[at].accepted:
                nearest[self._forms[at]] = at
        gained: list[Likeness] = []
        withheld: list[Likeness] = []
        for at in nearest.values():
            one = self.exemplars[at]
            similarity = round(float(similarities[at]), DIGITS)
            likeness = Likeness(one.label, one.object_id, similarity, confidence(float(relative[at])))
            if likeness.confidence >= least:
                (gained if one.accepted else withheld).append(likeness)
        return Judgement(_surest(gained), _surest(withheld))


def confidence(relative: float) -> float:
    """The probability that a person says of an image what was said of an exemplar at this relative distance."""
    return round(1.0 / (1.0 + math.exp(-(INTERCEPT + SLOPE * relative))), DIGITS)


def _surest(found: list[Likeness]) -> tuple[Likeness, ...]:
    return tuple(sorted(found, key=lambda one: (-one.confidence, one.label)))
