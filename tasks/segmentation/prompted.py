"""Prompted: CaSED names what the whole image holds, an open-vocabulary segmenter draws those names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from PIL import Image

from tasks.messages import Floats, Hit, Tag
from tasks.pipeline import Pipeline
from tasks.segmentation.drawing import Drawing, working
from tasks.segmentation.naming import batch_of

SIDE = 1024  # pixels of the longer side, of the image that is drawn on
LEAST = 0.5  # of what a segmenter says of a pixel; below it nothing that has a name is there


class Drawer(Protocol):
    """Finds where what a name says is."""

    def draw(self, image: Image.Image, names: Sequence[str]) -> Floats:
        """How surely each pixel of an RGB image shows each name: (names, rows, columns), between 0 and 1.

        The raster is the drawer's own; it is stretched over the image.
        """
        ...


@dataclass(frozen=True)
class Prompted:
    """The image's tags, as many as the pipeline's ``max_tags``, drawn; ``least``: see ``LEAST``."""

    name: ClassVar[str] = "prompted"

    drawer: Drawer
    least: float = LEAST

    def draw(self, image: Image.Image, pipeline: Pipeline) -> Drawing:
        """One plane a tag. Without tags all is unknown, and nothing is drawn."""
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
            drawn = np.nan_to_num(self.drawer.draw(small, names).astype(np.float32, copy=False))
        nothing = np.full((1, *drawn.shape[1:]), self.least, np.float32)
        return Drawing(
            labels=tuple(names),
            planes=np.concatenate([nothing, drawn]),
            parts=np.ones((1, *drawn.shape[1:]), dtype=bool),
            hits=[{tag.label: tuple(hits[at] for at in tag.evidence) for tag in tags}],
            encoded=1,
            looked_up=1,
        )
