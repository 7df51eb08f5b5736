"""Made-up encoders and captions: every text has a vector that follows from the text alone."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from tasks.encoders.protocols import Space
from tasks.message_parts import Candidate, Floats, Hit, ObjectRef, Revision, Vectors
from tasks.messages import Embedded, Extracted, Submitted
from vectordb.captions import Caption
from vectordb.exact import ExactIndex

SPACE = Space("made-up", 16, 20.0)
CAPTIONS = (
    "a tabby cat sleeping on a red sofa", "bell pepper, a kind of sweet pepper", "photo of two dogs near a bridge",
    "a bowl of ripe bananas", "the dog's bowl, seen from above", "tabby, a kind of domestic cat",
    "an old wooden bridge over a river", "red bell peppers at a market stall", "a child playing football",
    "library_bridge.jpg", "a pair of leather shoes", "two cats and a dog",
)  # fmt: skip


def random_units(seed: int, count: int, dimension: int = SPACE.dimension) -> Floats:
    """(count, dimension) of unit length, uniform on the sphere."""
    drawn = np.random.default_rng(seed).normal(size=(count, dimension))
    rows: Floats = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    return rows


def vector_of(text: str, dimension: int = SPACE.dimension) -> Floats:
    """The unit vector of a text: (dimension,)."""
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")
    one: Floats = random_units(seed, 1, dimension)[0]
    return one


class MadeUpText:
    """A text encoder that remembers what it was asked."""

    def __init__(self, space: Space = SPACE) -> None:
        self.space = space
        self.calls: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> Floats:
        self.calls.append(list(texts))
        return np.stack([vector_of(text, self.space.dimension) for text in texts])


class MadeUpImages:
    """An image encoder: the vector follows from the picture's pixels; a wholly black one has no finite vector."""

    side = 32

    def __init__(self, space: Space = SPACE) -> None:
        self.space = space
        self.calls = 0

    def encode(self, images: Sequence[Image.Image]) -> Floats:
        self.calls += 1
        vectors = [vector_of(image.tobytes().hex(), self.space.dimension) for image in images]
        black = [image.getbbox() is None for image in images]
        return np.stack([vector * np.nan if dark else vector for vector, dark in zip(vectors, black, strict=True)])


def picture(colour: tuple[int, int, int]) -> bytes:
    """A small PNG of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(file, "PNG")
    return file.getvalue()


def references(count: int) -> tuple[ObjectRef, ...]:
    return tuple(ObjectRef("inbox", f"{number}.png", "etag") for number in range(count))


def submitted(count: int, space: Space = SPACE) -> Submitted:
    return Submitted(objects=references(count), revision=Revision(space.id, "1"))


def embedded(vectors: Floats, space: Space = SPACE) -> Embedded:
    return Embedded(objects=references(len(vectors)), revision=Revision(space.id, "1"), vectors=Vectors.of(vectors))


def extracted(
    images: Floats, centroids: Floats, labels: Sequence[Sequence[str]], similarity: float = 0.5, space: Space = SPACE
) -> Extracted:
    """One hit an object, which is the evidence of every candidate."""
    return Extracted(
        objects=references(len(images)),
        revision=Revision(space.id, "1"),
        vectors=Vectors.of(images),
        centroids=Vectors.of(centroids),
        hits=tuple((Hit(1, "a caption", similarity),) for _ in labels),
        candidates=tuple(tuple(Candidate(label, (0,)) for label in one) for one in labels),
    )


def index_of(captions: Sequence[str] = CAPTIONS) -> ExactIndex:
    """An exact index of these captions with their made-up vectors."""
    index = ExactIndex(SPACE.dimension)
    if captions:
        index.add([Caption.of(text) for text in captions], np.stack([vector_of(text) for text in captions]))
    return index


def hits(*captions: str) -> tuple[Hit, ...]:
    """Hits of these captions with the ids that captions have."""
    return tuple(Hit(Caption.of(text).id, text, 0.5) for text in captions)
