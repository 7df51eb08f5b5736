"""The interface of encoders. Two encoders share a space only if their ``Space.id`` is equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.model_description import Description

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Thresholds:
    """Cosine thresholds of one space; they do not apply to another.

    An image whose best caption is less similar than ``unknown`` gets no tags; candidates more similar than
    ``synonym`` become one tag; tags that score less than ``score`` are dropped; a tag is named by its noun alone
    ("fox" for "red fox") if the two are more similar than ``head``; a tag whose best caption is less similar to the
    image than ``evidence`` is dropped. The defaults disable all five.
    """

    unknown: float = -1.0
    synonym: float = 1.0
    score: float = 0.0
    head: float = 1.0
    evidence: float = -1.0


@dataclass(frozen=True)
class Space:
    """A vector space: its id, dimension, and how similarities become probabilities.

    ``normalisation`` is ``softmax`` (CLIP) or ``sigmoid`` (SigLIP, with ``logit_bias``); ``logit_scale`` is already
    exponentiated. ``id`` is short and valid as a folder name. ``thresholds``: those measured with labels; without
    any, thresholds are derived for each caption version (``tasks.thresholds``). ``usual_distance``: the distance
    (1 − cosine) of an image to others that three quarters of them do not exceed; ``None`` if it was not measured.
    """

    id: str
    dimension: int
    logit_scale: float
    logit_bias: float = 0.0
    normalisation: Literal["softmax", "sigmoid"] = "softmax"
    thresholds: Thresholds = Thresholds()
    usual_distance: float | None = None


@runtime_checkable
class Described(Protocol):
    """A model that says how it computes. Encoders and the models of segmentation do."""

    @property
    def description(self) -> Description:
        """At present: the batch shrinks when the memory of the device is full."""
        ...


class ImageEncoder(Protocol):
    """Images to unit vectors. ``side``: the model's input side in pixels; much larger images may be shrunk."""

    @property
    def space(self) -> Space: ...

    @property
    def side(self) -> int: ...

    def encode(self, images: Sequence[Image.Image]) -> Floats:
        """RGB images of any size → (n, dimension) float32, unit length. Deterministic; order kept.

        The vector of a very long image is the normalised mean of the vectors of squares of it.
        """
        ...


class TextEncoder(Protocol):
    """Texts to unit vectors in the same space."""

    @property
    def space(self) -> Space: ...

    def encode(self, texts: Sequence[str]) -> Floats:
        """Texts → (n, dimension) float32, unit length. Deterministic; order kept."""
        ...
