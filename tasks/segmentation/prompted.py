"""Prompted segmentation: CaSED names the whole image, and an open-vocabulary segmenter locates the names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from PIL import Image

from tasks.message_parts import Floats, Hit, Tag
from tasks.pipeline import Pipeline
from tasks.segmentation.drawing import Drawing, working
from tasks.segmentation.naming import batch_of

SIDE = 1024  # pixels of the longer side of the image that the segmenter gets
LEAST = 0.5  # minimum score of a pixel; below it the pixel is unknown


class OpenVocabularySegmenter(Protocol):
    """Locates names in an image."""

    def draw(self, image: Image.Image, names: Sequence[str]) -> Floats:
        """Scores between 0 and 1 for each name at each pixel of an RGB image: (names, rows, columns).

        The segmenter chooses the raster; it is resized to the image.
        """
        ...


@dataclass(frozen=True)
class Prompted:
    """The prompted method: locates the image's tags, at most ``max_tags``. ``least``: see ``LEAST``."""

    name: ClassVar[str] = "prompted"

    segmenter: OpenVocabularySegmenter
    least: float = LEAST

    def draw(self, image: Image.Image, pipeline: Pipeline) -> Drawing:
        """One plane per tag. Without tags the whole image is unknown."""
        vector = pipeline.image_encoder.encode([image])
        tags: tuple[Tag, ...] = ()
        hits: tuple[Hit, ...] = ()
        if np.isfinite(vector).all():
            scored = pipeline.score(pipeline.candidates(batch_of(vector, pipeline)))
            (tags,), (hits,) = scored.tags, scored.hits
        names = [tag.label for tag in tags]
        drawn = np.zeros((0, 1, 1), np.float32)
        if names:
            small = image.resize(working(image.size, SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0)
            drawn = np.nan_to_num(self.segmenter.draw(small, names).astype(np.float32, copy=False))
        nothing = np.full((1, *drawn.shape[1:]), self.least, np.float32)
        return Drawing(
            labels=tuple(names),
            planes=np.concatenate([nothing, drawn]),
            parts=np.ones((1, *drawn.shape[1:]), dtype=bool),
            hits=[{tag.label: tuple(hits[at] for at in tag.evidence) for tag in tags}],
            encoded=1,
            looked_up=1,
        )
