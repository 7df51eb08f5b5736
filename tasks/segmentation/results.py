"""What a segmentation is: labels, segments with their masks, and the label map that follows from them."""

from __future__ import annotations

from itertools import accumulate

import msgspec
import numpy as np
from numpy.typing import NDArray

UNKNOWN = "unknown"  # label 0: where nothing is near

Mask = NDArray[np.bool_]
LabelMap = NDArray[np.uint8 | np.uint16]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A piece of a result."""


class RunLengths(_Part, frozen=True):
    """A mask as COCO's uncompressed run lengths.

    ``size``: height and width. ``counts``: how many pixels are out, in, out …, down the columns from left to right.
    """

    size: tuple[int, int]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, mask: Mask) -> RunLengths:
        """Pack a mask (h, w)."""
        height, width = mask.shape
        pixels = mask.T.ravel()
        ends = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
        counts = np.diff(ends, prepend=0, append=pixels.size).tolist()
        return cls(size=(height, width), counts=(0, *counts) if pixels.size and pixels[0] else tuple(counts))

    def mask(self) -> Mask:
        """The mask (h, w)."""
        height, width = self.size
        inside = np.arange(len(self.counts)) % 2 == 1
        return np.repeat(inside, self.counts).reshape(width, height).T

    def runs(self) -> list[tuple[int, int]]:
        """(first, after the last) of each run of pixels that are in, counted down the columns."""
        ends = list(accumulate(self.counts))
        return list(zip(ends[0::2], ends[1::2], strict=False))


class Evidence(_Part, frozen=True):
    """A caption that names a segment. ``similarity``: the cosine of the nearest of the segment's parts to it."""

    id: int
    caption: str
    similarity: float


class Segment(_Part, frozen=True):
    """A connected piece of the image with one label.

    ``score``: the mean, over the pixels, of what the way says for the label. ``box``: x, y, width, height in pixels.
    ``area``: its share of the image. ``evidence``: best first.
    """

    label: str
    score: float
    box: tuple[int, int, int, int]
    area: float
    mask: RunLengths
    evidence: tuple[Evidence, ...] = ()


class Segmented(_Part, frozen=True):
    """A segmentation. Segments do not overlap; what none of them covers is unknown.

    ``labels``: of the label map's values, 0 is ``unknown``. ``segments``: largest first. ``encoded``: how many crops
    went through the image encoder; ``looked_up``: how many vectors were searched for.
    """

    way: str
    width: int
    height: int
    labels: tuple[str, ...]
    segments: tuple[Segment, ...]
    encoded: int
    looked_up: int

    def label_map(self) -> LabelMap:
        """(height, width), positions in ``labels``: uint8 while 256 labels are enough, else uint16."""
        kind = np.uint8 if len(self.labels) <= 256 else np.uint16
        pixels: LabelMap = np.zeros(self.width * self.height, kind)
        number = {label: at for at, label in enumerate(self.labels)}
        for segment in self.segments:
            for first, end in segment.mask.runs():
                pixels[first:end] = number[segment.label]
        return pixels.reshape(self.width, self.height).T
