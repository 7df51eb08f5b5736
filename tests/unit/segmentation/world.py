"""A world of colours: what is red is a cat, blue a bridge, green a banana. Grey is near to no caption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from tasks.encoders.protocols import Space
from tasks.extraction import extractor
from tasks.message_parts import Floats
from tasks.pipeline import Pipeline, PipelineOptions
from tasks.segmentation.results import Mask
from vectordb.captions import Caption
from vectordb.exact import ExactIndex

SPACE = Space("colours", 6, 20.0)
RED, GREEN, BLUE, GREY = (220, 30, 30), (30, 200, 40), (40, 40, 220), (128, 128, 128)
AXES = {"cat": 0, "tabby": 0, "banana": 1, "bridge": 2}
CAPTIONS = (
    "a cat", "a tabby, which is a cat", "a tabby", "a bridge", "a bridge over a river", "a banana", "a ripe banana",
)  # fmt: skip
_TABBY = 0.2  # how far the tabby lies from the cat


def axis(number: int, lean: float = 0.0) -> Floats:
    vector = np.zeros(SPACE.dimension, np.float32)
    vector[[number, 4]] = 1.0, lean
    unit: Floats = vector / np.linalg.norm(vector)
    return unit


def vector_of(text: str) -> Floats:
    """The direction of the text's colour; of a text without any, one that no colour has."""
    for word, number in AXES.items():
        if word in text:
            return axis(number, _TABBY * (word == "tabby"))
    return axis(5)


class Texts:
    space = SPACE

    def encode(self, texts: Sequence[str]) -> Floats:
        return np.stack([vector_of(text) for text in texts])


class Colours:
    """The mean colour, without its grey, is the direction. It counts what it was shown."""

    space = SPACE
    side = 16

    def __init__(self) -> None:
        self.seen = 0
        self.calls = 0

    def encode(self, images: Sequence[Image.Image]) -> Floats:
        self.seen += len(images)
        self.calls += 1
        vectors = np.zeros((len(images), SPACE.dimension), np.float32)
        for row, image in enumerate(images):
            pixels = np.asarray(image, np.float32)
            vivid = pixels - pixels.min(axis=2, keepdims=True)
            vectors[row, :3] = vivid.mean(axis=(0, 1))
            vectors[row, 3] = 8.0  # what all pictures have in common, and a grey one has nothing but
        unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


class Searches(ExactIndex):
    """An index that counts what was looked up."""

    looked_up = 0

    def search(self, vectors: Floats, limit: int) -> list:  # type: ignore[type-arg]  # as its base
        self.looked_up += len(vectors)
        return super().search(vectors, limit)


EXTRACTOR = extractor()  # loads its parser once, with the first captions
CHOICES = PipelineOptions(limit=2, unknown_similarity=0.3, synonym_similarity=0.9, duplicate_similarity=2.0)


def pipeline(captions: Sequence[str] = CAPTIONS, pipeline_options: PipelineOptions = CHOICES) -> Pipeline:
    index = Searches(SPACE.dimension)
    if captions:
        index.add([Caption.of(text) for text in captions], np.stack([vector_of(text) for text in captions]))
    return Pipeline(Colours(), Texts(), index, "1", extractor=EXTRACTOR, pipeline_options=pipeline_options)


def noisy(colour: tuple[int, int, int], width: int, height: int, seed: int = 0) -> Image.Image:
    """A colour that no crop is plain of."""
    pixels = np.random.default_rng(seed).integers(-15, 16, size=(height, width, 1)) + np.array(colour)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def halves(left: tuple[int, int, int] = RED, right: tuple[int, int, int] = BLUE, side: int = 128) -> Image.Image:
    """Two colours side by side."""
    image = noisy(left, side, side)
    image.paste(noisy(right, side // 2, side, 1), (side // 2, 0))
    return image


class Proposed:
    """A proposer that gives what it was made with."""

    def __init__(self, masks: Sequence[Mask]) -> None:
        self._masks = masks

    def propose(self, image: Image.Image) -> Sequence[Mask]:  # noqa: ARG002 -- whatever it shows
        return self._masks


class Drawn:
    """A segmenter that gives the planes it was made with, and nothing for other names. It notes what it is asked."""

    def __init__(self, planes: Mapping[str, Sequence[Sequence[float]]]) -> None:
        self._planes = {name: np.array(plane, np.float32) for name, plane in planes.items()}
        self._nothing = np.zeros_like(next(iter(self._planes.values()), np.zeros((1, 1), np.float32)))
        self.asked: list[str] = []
        self.sizes: list[tuple[int, int]] = []

    def draw(self, image: Image.Image, names: Sequence[str]) -> Floats:
        self.asked += names
        self.sizes.append(image.size)
        return np.stack([self._planes.get(name, self._nothing) for name in names])
