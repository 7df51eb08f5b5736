"""The methods that a segmentation evaluation compares: those of segmentation, and the paper's baselines.

The baselines are the image's top tag for all pixels, and a fixed vocabulary instead of the captions with an otherwise
unchanged method.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from PIL import Image

from tasks.cache import Cache, LRUCache
from tasks.encoders.protocols import ImageEncoder, Space
from tasks.message_parts import Candidate, Floats, Hit
from tasks.pipeline import CACHED, Pipeline
from tasks.segmentation.naming import batch_of
from tasks.segmentation.rendering import fitted
from tasks.segmentation.results import UNKNOWN, LabelMap
from tasks.segmentation.run import SegmentationMethod, segment
from vectordb.captions import Caption
from vectordb.exact import ExactIndex

TOP_TAG = "top-tag"
CACHED_VECTORS = 2048  # cached vectors, of the crops of several images


@dataclass(frozen=True)
class Located:
    """``names[0]`` stands for pixels without a name. ``label_map`` (h, w): positions in ``names``."""

    names: tuple[str, ...]
    label_map: LabelMap
    encoded: int


class Method(Protocol):
    """A method that segments an image."""

    @property
    def name(self) -> str: ...

    def locate(self, image: Image.Image) -> Located:
        """Segment an RGB image."""
        ...


@dataclass(frozen=True)
class BySegmentationMethod:
    """A segmentation method with the captions, or the fixed vocabulary, of the pipeline."""

    name: str
    method: SegmentationMethod
    pipeline: Pipeline

    def locate(self, image: Image.Image) -> Located:
        """See ``Method``."""
        found = segment(image, self.method, self.pipeline)
        return Located(found.labels, fitted(found.label_map(), image.size), found.encoded)


@dataclass(frozen=True)
class ByTopTag:
    """The best tag of the whole image, for all pixels."""

    pipeline: Pipeline
    name: str = TOP_TAG

    def locate(self, image: Image.Image) -> Located:
        """See ``Method``."""
        batch = batch_of(self.pipeline.image_encoder.encode([image]), self.pipeline)
        (tags,) = self.pipeline.score(self.pipeline.candidates(batch)).tags
        names = (UNKNOWN, *(tag.label for tag in tags[:1]))
        return Located(names, np.full((image.height, image.width), len(names) - 1, np.uint8), 1)


class CachingEncoder:
    """An image encoder that caches the latest vectors.

    Methods that encode the same crops share the cost, which is nearly all of the total.
    """

    def __init__(self, encoder: ImageEncoder) -> None:
        self._encoder = encoder
        self._cache = LRUCache(CACHED_VECTORS)

    @property
    def space(self) -> Space:
        return self._encoder.space

    @property
    def side(self) -> int:
        return self._encoder.side

    def encode(self, images: Sequence[Image.Image]) -> Floats:
        """See ``ImageEncoder.encode``."""
        keys = [_digest(image) for image in images]
        known = {key: value for key, value in zip(keys, self._cache.get_many(keys), strict=True) if value is not None}
        new = {key: image for key, image in zip(keys, images, strict=True) if key not in known}
        if new:
            vectors = self._encoder.encode(list(new.values()))
            known |= {key: vector.tobytes() for key, vector in zip(new, vectors, strict=True)}
            self._cache.set_many({key: known[key] for key in new})
        joined = b"".join(known[key] for key in keys)
        return np.frombuffer(joined, np.float32).reshape(len(keys), self.space.dimension)


@dataclass(frozen=True)
class Whole:
    """An ``Extractor`` for captions that are names: each is its own candidate."""

    def candidates(self, retrieved: Sequence[Sequence[Hit]], cache: Cache) -> list[tuple[Candidate, ...]]:  # noqa: ARG002 -- nothing is parsed
        """See ``Extractor.candidates``."""
        return [tuple(Candidate(hit.caption, (at,)) for at, hit in enumerate(hits)) for hits in retrieved]

    def warm(self) -> None:
        """Does nothing."""


def of_vocabulary(pipeline: Pipeline, names: Sequence[str]) -> Pipeline:
    """The pipeline with these names instead of captions: the nearest one is the tag, and nothing is unknown."""
    index = ExactIndex(pipeline.index.dimension)
    index.add([Caption.of(name) for name in names], pipeline.text_encoder.encode(list(names)))
    pipeline_options = replace(
        pipeline.pipeline_options,
        limit=1,
        alpha=1.0,
        duplicate_similarity=2.0,
        unknown_similarity=-1.0,
        evidence_similarity=-1.0,
        min_score=0.0,
        distinct_tags=False,
    )
    return replace(
        pipeline, index=index, captions_version="fixed", extractor=Whole(), cache=LRUCache(CACHED),
        reference_vectors=None, pipeline_options=pipeline_options, background_vectors=None, judge=None,
    )  # fmt: skip


def _digest(image: Image.Image) -> str:
    return hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest() + f"/{image.width}x{image.height}"
