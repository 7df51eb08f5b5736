"""Regions: class-agnostic proposals, each named like an image, overlaps averaged (arXiv 2404.10864)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.messages import Floats
from tasks.pipeline import Pipeline
from tasks.segmentation.drawing import Drawing, working
from tasks.segmentation.grids import FLAT
from tasks.segmentation.naming import DEFAULT, Naming, named
from tasks.segmentation.results import Mask

SIDE = 512  # pixels of the longer side, of the image that regions are proposed in
MOST = 64  # regions of an image
SMALLEST = 0.002  # share of the image
ALIKE = 0.95  # regions that share so much of their union are one
DIMMED = 0.5  # ops/decisions/0017-segmentation.md has the figures of other values
SQUAREST = 0.5  # of a crop's shorter side against the longer: encoders squeeze a crop to a square
_GREY = 127


class Proposer(Protocol):
    """Finds regions of an image that may each hold one thing, whatever it is."""

    def propose(self, image: Image.Image) -> Sequence[Mask]:
        """Masks (height, width) of an RGB image, the better first.

        They may overlap, and leave pixels to none of them. There may be none.
        """
        ...


@dataclass(frozen=True)
class Regions:
    """``most``: regions of an image at the most, the proposer's first ones. ``dimmed``: how much of what is outside
    of a region is taken from its crop, 0 for nothing, as in the paper, and 1 for all. ``flat``: a wide region whose
    pixels differ by no more is a background that shows nothing; ``None`` names all, as the paper does.
    """

    name: ClassVar[str] = "regions"

    proposer: Proposer
    most: int = MOST
    dimmed: float = DIMMED
    flat: int | None = FLAT
    naming: Naming = DEFAULT

    def draw(self, image: Image.Image, pipeline: Pipeline) -> Drawing:
        """One plane a label, on the raster of the proposals. Without any proposal the whole image is the region."""
        small = image.resize(working(image.size, SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0)
        masks = usable(self.proposer.propose(small), (small.height, small.width), self.most)
        pixels = np.asarray(small)
        shows = [at for at, mask in enumerate(masks) if self.flat is None or not is_plain(pixels, mask, self.flat)]
        encoder = pipeline.image_encoder
        cut = [crop_of(image, masks[at], self.dimmed, encoder.side) for at in shows]
        if self.naming.source == "image":
            cut.append(image)
        seen = encoder.encode(cut) if cut else np.zeros((0, encoder.space.dimension), np.float32)
        seen = np.where(np.isfinite(seen).all(axis=1, keepdims=True), seen, np.float32(0))
        vectors = np.zeros((len(masks), encoder.space.dimension), np.float32)
        vectors[shows] = seen[: len(shows)]
        whole = seen[-1] if len(seen) > len(shows) else np.zeros(encoder.space.dimension, np.float32)
        found = named(vectors, masks.sum(axis=(1, 2), dtype=np.float32), whole, pipeline, self.naming)
        return Drawing(
            labels=found.labels,
            planes=averaged(with_unknown(found.scores), masks),
            parts=masks,
            hits=found.hits,
            encoded=len(seen),
            looked_up=found.looked_up,
        )


def usable(masks: Sequence[Mask], shape: tuple[int, int], most: int) -> Mask:
    """At most ``most`` of these masks, fitted to ``shape`` (rows, columns): (n, rows, columns).

    What is beyond the image is cut off. Very small regions go, and copies of one before them; where nothing is left,
    the whole image is the region.
    """
    smallest = max(1.0, SMALLEST * shape[0] * shape[1])
    kept: list[Mask] = []
    for mask in masks:
        inside = np.zeros(shape, dtype=bool)
        part = mask[: shape[0], : shape[1]]
        inside[: part.shape[0], : part.shape[1]] = part
        if np.count_nonzero(inside) < smallest or any(_alike(inside, other) for other in kept):
            continue
        kept.append(inside)
        if len(kept) == most:
            break
    return np.stack(kept) if kept else np.ones((1, *shape), dtype=bool)


def crop_of(image: Image.Image, mask: Mask, dimmed: float, side: int) -> Image.Image:
    """The box of a region as a square of ``side`` pixels, what is outside of the region nearer to grey.

    ``mask`` may be of another size than the image. A long box gets more of what is around it, where there is more.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    down = _widened(rows[0], rows[-1] + 1, SQUAREST * len(columns) * _stretch(image, mask), mask.shape[0])
    across = _widened(columns[0], columns[-1] + 1, SQUAREST * len(rows) / _stretch(image, mask), mask.shape[1])
    x, y = image.width / mask.shape[1], image.height / mask.shape[0]
    box = (across[0] * x, down[0] * y, across[1] * x, down[1] * y)
    crop = image.resize((side, side), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
    if not dimmed:
        return crop
    inside = Image.fromarray(mask[down[0] : down[1], across[0] : across[1]]).convert("L").resize((side, side))
    grey = Image.blend(crop, Image.new("RGB", crop.size, (_GREY, _GREY, _GREY)), dimmed)
    return Image.composite(crop, grey, inside)


def is_plain(pixels: NDArray[np.uint8], mask: Mask, levels: int) -> bool:
    """Whether nine tenths of a region's pixels are of one colour, and its box more than half of the image.

    ``pixels``: (h, w, 3) of the image.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if 2 * (np.ptp(rows) + 1) * (np.ptp(columns) + 1) <= mask.size:
        return False
    low, high = np.percentile(pixels[mask], (5, 95), axis=0)
    return bool((high - low <= levels).all())


def averaged(scores: Floats, masks: Mask) -> Floats:
    """The mean of the scores (n, labels) of the regions that cover a pixel: (labels, rows, columns).

    Pixels of no region are wholly the first label's, unknown.
    """
    count, rows, columns = masks.shape
    covered = masks.reshape(count, -1).astype(np.float32)
    times = covered.sum(axis=0)
    planes: Floats = scores.T @ covered / np.maximum(times, 1)
    planes[0, times == 0] = 1
    return planes.reshape(-1, rows, columns)


def with_unknown(scores: Floats) -> Floats:
    """(n, 1 + labels): 1 in front where a part is unknown, which it is without any score."""
    return np.concatenate([(~scores.any(axis=1, keepdims=True)).astype(np.float32), scores], axis=1)


def _alike(one: Mask, other: Mask) -> bool:
    return bool(np.count_nonzero(one & other) > ALIKE * np.count_nonzero(one | other))


def _stretch(image: Image.Image, mask: Mask) -> float:
    """How much wider than high one of the mask's pixels is on the image."""
    return float((image.width / mask.shape[1]) / (image.height / mask.shape[0]))


def _widened(first: int, end: int, wanted: float, length: int) -> tuple[int, int]:
    """The span made ``wanted`` long, to both sides, as far as 0 and ``length`` allow."""
    long = max(int(end - first), min(round(wanted), length))
    begin = min(max(0, int(first) - (long - int(end - first)) // 2), length - long)
    return begin, begin + long
