"""The result of a segmentation: labels, segments with their masks, and the label map built from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNKNOWN = "unknown"  # label 0: no tag is sure enough, or no caption is close enough

Mask: TypeAlias = "NDArray[np.bool_]"
LabelMap: TypeAlias = "NDArray[np.uint8 | np.uint16]"


class RunLengths(msgspec.Struct, frozen=True):
    """A mask in COCO's compressed run-length encoding.

    ``size``: height and width. ``counts``: the lengths of the runs of 0, 1, 0, …, column by column from the left.
    """

    size: tuple[int, int]
    counts: str

    @classmethod
    def of(cls, mask: Mask) -> RunLengths:
        """Encode a mask (h, w)."""
        import numpy as np  # noqa: PLC0415 -- not needed to read records
        from pycocotools import mask as coco  # noqa: PLC0415 -- as above

        counts = coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
        height, width = mask.shape
        return cls((height, width), counts if isinstance(counts, str) else counts.decode())

    def mask(self) -> Mask:
        """Decode the mask (h, w)."""
        from pycocotools import mask as coco  # noqa: PLC0415 -- as above

        inside: Mask = coco.decode({"size": list(self.size), "counts": self.counts.encode()}).astype(bool)
        return inside


class Evidence(msgspec.Struct, frozen=True):
    """A caption that names a segment. ``similarity``: the highest cosine between it and a part of the segment."""

    id: int
    caption: str
    similarity: float


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A connected piece of the image with one label.

    ``score``: the method's mean score for the label over the pixels. ``box``: x, y, width, height in pixels of the
    image. ``area``: share of the image. ``mask``: at the size of the label map. ``evidence``: best first.
    """

    label: str
    score: float
    box: tuple[int, int, int, int]
    area: float
    mask: RunLengths
    evidence: tuple[Evidence, ...] = ()


class Segmented(msgspec.Struct, frozen=True, kw_only=True):
    """A segmentation. Segments do not overlap; pixels outside of all segments are unknown.

    ``width``, ``height``: of the image. ``shape``: rows and columns of the label map, which is smaller for large
    images. ``labels``: indexed by the label map's values; 0 is ``unknown``. ``segments``: largest first. ``encoded``:
    number of crops that the image encoder encoded. ``looked_up``: number of caption searches.
    """

    method: str
    width: int
    height: int
    shape: tuple[int, int]
    labels: tuple[str, ...]
    segments: tuple[Segment, ...]
    encoded: int
    looked_up: int

    def label_map(self) -> LabelMap:
        """Indexes into ``labels``, of ``shape``: uint8 for up to 256 labels, else uint16."""
        import numpy as np  # noqa: PLC0415 -- as above

        kind = np.uint8 if len(self.labels) <= 256 else np.uint16
        pixels: LabelMap = np.zeros(self.shape, kind)
        number = {label: at for at, label in enumerate(self.labels)}
        for segment in self.segments:
            pixels[segment.mask.mask()] = number[segment.label]
        return pixels
