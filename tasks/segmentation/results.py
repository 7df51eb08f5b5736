"""What a segmentation is: labels, segments with their masks, and the label map that follows from them."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

UNKNOWN = "unknown"  # label 0: where nothing is near

Mask = NDArray[np.bool_]
LabelMap = NDArray[np.uint8 | np.uint16]


class RunLengths(msgspec.Struct, frozen=True):
    """A mask as COCO's run-length encoding, in the compact form that its tools read.

    ``size``: height and width. ``counts``: how many pixels are out, in, out …, down the columns from left to right.
    """

    size: tuple[int, int]
    counts: str

    @classmethod
    def of(cls, mask: Mask) -> RunLengths:
        """Pack a mask (h, w)."""
        from pycocotools import mask as coco  # noqa: PLC0415 -- who only reads records needs none

        counts = coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
        height, width = mask.shape
        return cls((height, width), counts if isinstance(counts, str) else counts.decode())

    def mask(self) -> Mask:
        """The mask (h, w)."""
        from pycocotools import mask as coco  # noqa: PLC0415 -- as above

        inside: Mask = coco.decode({"size": list(self.size), "counts": self.counts.encode()}).astype(bool)
        return inside


class Evidence(msgspec.Struct, frozen=True):
    """A caption that names a segment. ``similarity``: the cosine of the nearest of the segment's parts to it."""

    id: int
    caption: str
    similarity: float


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A connected piece of the image with one label.

    ``score``: the mean, over the pixels, of what the way says for the label. ``box``: x, y, width, height in pixels
    of the image. ``area``: its share of the image. ``mask``: on the label map. ``evidence``: best first.
    """

    label: str
    score: float
    box: tuple[int, int, int, int]
    area: float
    mask: RunLengths
    evidence: tuple[Evidence, ...] = ()


class Segmented(msgspec.Struct, frozen=True, kw_only=True):
    """A segmentation. Segments do not overlap; what none of them covers is unknown.

    ``width``, ``height``: of the image; ``shape``: rows and columns of the label map, fewer for a large image.
    ``labels``: of the label map's values, 0 is ``unknown``. ``segments``: largest first. ``encoded``: how many crops
    went through the image encoder; ``looked_up``: how many vectors were searched for.
    """

    way: str
    width: int
    height: int
    shape: tuple[int, int]
    labels: tuple[str, ...]
    segments: tuple[Segment, ...]
    encoded: int
    looked_up: int

    def label_map(self) -> LabelMap:
        """``shape``, positions in ``labels``: uint8 while 256 labels are enough, else uint16."""
        kind = np.uint8 if len(self.labels) <= 256 else np.uint16
        pixels: LabelMap = np.zeros(self.shape, kind)
        number = {label: at for at, label in enumerate(self.labels)}
        for segment in self.segments:
            pixels[segment.mask.mask()] = number[segment.label]
        return pixels
