"""Confidence: the probability that a person accepts a tag, beside its scores.

A score is a share among the candidates of one image, so the best candidate of a bad lot scores high. The confidence
weighs what is known about a tag against what is usual for its image: a logistic regression over five features, with a
model for each vector space. ``tasks.calibration`` fits one on labelled images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from tasks.message_parts import Background
from vectordb.decoders import from_json
from vectordb.errors import Permanent

FEATURES = ("image_similarity", "evidence", "text_share", "background_mean", "background_spread")
SMALLEST_SHARE = 1e-3  # added to a share before its logarithm
DIGITS = 6  # decimals of a confidence
SHIPPED = files("tasks") / "confidence_models"
Numbers = NDArray[np.float64]


class BadConfidenceModel(Permanent):
    """The file is not a confidence model for this space; the text says why."""


class ConfidenceModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A logistic regression over ``FEATURES`` for the space ``space_id``.

    ``centres`` and ``scales`` standardise the features. ``threshold``: the default minimum confidence of a tag.
    ``origin``: the images it was fitted on and how good it was on others, for people.
    """

    space_id: str
    features: tuple[str, ...]
    centres: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    threshold: float
    origin: dict[str, str | int | float | list[float]] = {}

    def __post_init__(self) -> None:
        """Raises ``ValueError`` if the parts do not fit together."""
        lengths = {len(part) for part in (self.centres, self.scales, self.weights)}
        if self.features != FEATURES or lengths != {len(FEATURES)}:
            raise ValueError(f"the features are not {', '.join(FEATURES)}, with one centre, scale and weight each")
        numbers = (*self.centres, *self.scales, *self.weights, self.intercept)
        if not all(map(math.isfinite, numbers)) or min(self.scales) <= 0 or not 0 <= self.threshold <= 1:
            raise ValueError("a number is not finite, a scale is not positive, or the threshold is not in [0, 1]")

    def confidences(self, features: Numbers) -> Numbers:
        """(n, 5) → (n,) probabilities, rounded to ``DIGITS`` decimals."""
        logits = (features - self.centres) / self.scales @ np.asarray(self.weights) + self.intercept
        each: Numbers = sigmoid(logits).round(DIGITS)
        return each


def sigmoid(logits: Numbers) -> Numbers:
    """The logistic function, for any shape, without overflow."""
    each: Numbers = np.exp(-np.logaddexp(0.0, -logits))
    return each


def features(
    image_similarities: Sequence[float], evidence: Sequence[float], text_shares: Sequence[float], behind: Background
) -> Numbers:
    """The features (n, 5) of the n tags of an image, in the order of ``FEATURES``.

    ``image_similarities``: cosine of the image and each tag. ``evidence``: similarity of the image and the best
    caption that names the tag. ``text_shares``: the text score. ``behind``: the image's background.
    """
    rows = np.empty((len(image_similarities), len(FEATURES)))
    rows[:, 0] = image_similarities
    rows[:, 1] = evidence
    rows[:, 2] = np.log(np.asarray(text_shares, np.float64) + SMALLEST_SHARE)
    rows[:, 3] = behind.mean
    rows[:, 4] = behind.spread
    return rows


def load(file: Path, space_id: str) -> ConfidenceModel:
    """Read a model. Raises ``BadConfidenceModel``, also for the model of another space."""
    try:
        model = from_json(file.read_bytes(), ConfidenceModel)
    except OSError as exc:
        raise BadConfidenceModel(f"the confidence model {file} cannot be read: {exc.strerror}") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise BadConfidenceModel(f"{file} is not a confidence model ({exc}); run wildtag calibrate again") from exc
    if model.space_id != space_id:
        raise BadConfidenceModel(
            f"the confidence model {file} belongs to the space {model.space_id}, but the encoder's space is"
            f" {space_id}: run wildtag calibrate with this encoder"
        )
    return model


def shipped(space_id: str) -> ConfidenceModel | None:
    """The model that wildtag ships for a space, if there is one."""
    file = SHIPPED / f"{space_id}.json"
    return from_json(file.read_bytes(), ConfidenceModel) if file.is_file() else None
