"""Fits a confidence model on labelled images, and measures confidences.

The fit is a logistic regression with a ridge penalty. Its quality is measured by cross-validation: the images are
divided into folds, and the tags of each fold get confidences from a model that was fitted on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.confidence import FEATURES, ConfidenceModel, Numbers, sigmoid
from vectordb.errors import Permanent

RIDGE = 20.0  # penalty of the squared weights of standardised features
FOLDS = 5
BINS = 10  # of the calibration error, each with the same number of tags
RESAMPLINGS = 1000
LEAST_TAGS = 200
_STEPS = 50
_TOLERANCE = 1e-9

Bools = NDArray[np.bool_]


class TooFewImages(Permanent):
    """There are too few labelled images, or all tags are right or all wrong."""


@dataclass(frozen=True)
class Observations:
    """The tags of labelled images. ``features``: (n, 5); ``right``: (n,); ``image``: (n,) the number of the image.

    ``weight``: (n,). Tags of an image stand together, best score first.
    """

    features: Numbers
    right: Bools
    image: NDArray[np.int64]
    weight: Numbers


@dataclass(frozen=True)
class Fit:
    """A logistic regression; see ``ConfidenceModel``."""

    centres: Numbers
    scales: Numbers
    weights: Numbers
    intercept: float

    def model(
        self, space_id: str, threshold: float, origin: dict[str, str | int | float | list[float]]
    ) -> ConfidenceModel:
        """As a confidence model, rounded to six digits."""
        return ConfidenceModel(
            space_id=space_id, features=FEATURES, centres=_digits(self.centres), scales=_digits(self.scales),
            weights=_digits(self.weights), intercept=round(self.intercept, 6), threshold=threshold, origin=origin,
        )  # fmt: skip

    def confidences(self, features: Numbers) -> Numbers:
        """(n, 5) → (n,)."""
        each: Numbers = sigmoid((features - self.centres) / self.scales @ self.weights + self.intercept)
        return each


def joined(sets: Sequence[tuple[Numbers, Bools, NDArray[np.int64]]]) -> Observations:
    """Several sets of features, whether right, and image numbers, as one in which every set weighs the same."""
    total = sum(len(right) for _, right, _ in sets)
    images, first = [], 0
    for _, _, image in sets:
        images.append(image + first)
        first += int(image.max(initial=-1)) + 1
    return Observations(
        np.concatenate([features for features, _, _ in sets]),
        np.concatenate([right for _, right, _ in sets]),
        np.concatenate(images),
        np.concatenate([np.full(len(right), total / len(sets) / max(1, len(right))) for _, right, _ in sets]),
    )


def fit(seen: Observations, ridge: float = RIDGE) -> Fit:
    """Newton's method. Raises ``TooFewImages``."""
    if len(seen.right) < LEAST_TAGS or seen.right.all() or not seen.right.any():
        raise TooFewImages(
            f"a confidence model needs at least {LEAST_TAGS} tags, right ones and wrong ones; there are"
            f" {len(seen.right)}, {int(seen.right.sum())} of them right: label more images"
        )
    centres = np.average(seen.features, axis=0, weights=seen.weight)
    scales = np.sqrt(np.average((seen.features - centres) ** 2, axis=0, weights=seen.weight))
    scales = np.where(scales > 0, scales, 1.0)
    rows = np.column_stack([np.ones(len(seen.right)), (seen.features - centres) / scales])
    penalty = np.diag([0.0, *[ridge] * seen.features.shape[1]])
    chosen = np.zeros(rows.shape[1])
    for _ in range(_STEPS):
        chances = sigmoid(rows @ chosen)
        slope = rows.T @ (seen.weight * (chances - seen.right)) + penalty @ chosen
        curve = (rows * (seen.weight * chances * (1 - chances))[:, None]).T @ rows + penalty
        step = np.linalg.solve(curve + 1e-9 * np.eye(len(chosen)), slope)
        chosen = chosen - step
        if np.abs(step).max() < _TOLERANCE:
            break
    return Fit(centres, scales, chosen[1:], float(chosen[0]))


def cross_validated(seen: Observations, seed: int = 0, folds: int = FOLDS, ridge: float = RIDGE) -> Numbers:
    """Confidences (n,) of all tags, each from a model that has not seen its image. Raises ``TooFewImages``."""
    images = np.unique(seen.image)
    if len(images) < folds:
        raise TooFewImages(
            f"cross-validation in {folds} folds needs at least {folds} images; there are {len(images)}"
        )
    fold_of = dict(
        zip(np.random.default_rng(seed).permutation(images).tolist(), _cycle(len(images), folds), strict=True)
    )
    fold = np.array([fold_of[image] for image in seen.image.tolist()])
    confidences = np.zeros(len(seen.right))
    for number in range(folds):
        others, own = fold != number, fold == number
        part = Observations(seen.features[others], seen.right[others], seen.image[others], seen.weight[others])
        confidences[own] = fit(part, ridge).confidences(seen.features[own])
    return confidences


def reliability(confidences: Numbers, right: Bools, bins: int = BINS) -> list[tuple[float, float, int]]:
    """Per bin of equal count, least confident first: mean confidence, share of right tags, number of tags."""
    parts = np.array_split(np.argsort(confidences, kind="stable"), bins)
    return [(float(confidences[at].mean()), float(right[at].mean()), len(at)) for at in parts if len(at)]


def calibration_error(confidences: Numbers, right: Bools, bins: int = BINS) -> float:
    """The expected calibration error: the mean difference of confidence and share of right tags over the bins."""
    found = reliability(confidences, right, bins)
    return sum(count * abs(mean - share) for mean, share, count in found) / max(1, len(right))


def interval(
    image: NDArray[np.int64], measure: Callable[[NDArray[np.intp]], float], seed: int = 0, times: int = RESAMPLINGS
) -> tuple[float, float]:
    """The 95 % bootstrap interval of ``measure`` over resampled images. It receives positions of tags."""
    rows = [np.flatnonzero(image == one) for one in np.unique(image)]
    draw = np.random.default_rng(seed)
    found = [
        measure(np.concatenate([rows[at] for at in draw.integers(0, len(rows), len(rows))])) for _ in range(times)
    ]
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def _cycle(count: int, length: int) -> list[int]:
    return [at % length for at in range(count)]


def _digits(values: Numbers) -> tuple[float, ...]:
    return tuple(round(float(value), 6) for value in values)
