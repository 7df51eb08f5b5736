"""Region segmentation: name each class-agnostic proposal like an image, average overlaps (arXiv 2404.10864)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.message_parts import Floats
from tasks.pipeline import Pipeline
from tasks.segmentation.drawing import Drawing, working
from tasks.segmentation.grids import FLAT
from tasks.segmentation.naming import DEFAULT, Naming, named
from tasks.segmentation.results import Mask

SIDE = 512  # pixels of the longer side of the image that the proposer gets
MOST = 64  # regions per image
SMALLEST = 0.002  # minimum share of the image
ALIKE = 0.95  # regions with a higher intersection over union are duplicates
DIMMING = 0.5  # see ops/decisions/0017-segmentation.md for other values
SQUAREST = 0.5  # minimum ratio of a crop's sides: encoders resize crops to squares
_GREY = 127


class Proposer(Protocol):
    """Proposes regions of an image that may each show one object of any class."""

    def propose(self, image: Image.Image) -> Sequence[Mask]:
        """Masks (height, width) of an RGB image, best first.

        They may overlap, need not cover the image, and may be none.
        """
        ...


@dataclass(frozen=True)
class Regions:
    """The regions method. ``most``: use at most this many proposals, the first ones.

    ``dimming``: how far the background of a region's crop is blended to grey, from 0 (not at all, as in the paper) to
    1 (fully). ``flat``: a wide region whose pixels differ by at most this many levels of 255 is a plain background
    and stays unknown; ``None`` names all regions, as in the paper.
    """

    name: ClassVar[str] = "regions"

    proposer: Proposer
    most: int = MOST
    dimming: float = DIMMING
    flat: int | None = FLAT
    naming: Naming = DEFAULT

    def draw(self, image: Image.Image, pipeline: Pipeline) -> Drawing:
        """One plane per label, on the raster of the proposals. Without proposals the whole image is one region."""
        small = image.resize(working(image.size, SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0)
        masks = usable(self.proposer.propose(small), (small.height, small.width), self.most)
        pixels = np.asarray(small)
        shows = [at for at, mask in enumerate(masks) if self.flat is None or not is_plain(pixels, mask, self.flat)]
        encoder = pipeline.image_encoder
        cut = [crop_of(image, masks[at], self.dimming, encoder.side) for at in shows]
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
    """At most ``most`` of these masks, cropped or padded to ``shape`` (rows, columns): (n, rows, columns).

    Drops very small regions and duplicates of earlier ones. If none is left, the whole image is one region.
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


def crop_of(image: Image.Image, mask: Mask, dimming: float, side: int) -> Image.Image:
    """The box of a region as a square of ``side`` pixels, with the background blended to grey by ``dimming``.

    ``mask`` may have another size than the image. A long box is widened as far as the image allows.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    down = _widened(rows[0], rows[-1] + 1, SQUAREST * len(columns) * _stretch(image, mask), mask.shape[0])
    across = _widened(columns[0], columns[-1] + 1, SQUAREST * len(rows) / _stretch(image, mask), mask.shape[1])
    x, y = image.width / mask.shape[1], image.height / mask.shape[0]
    box = (across[0] * x, down[0] * y, across[1] * x, down[1] * y)
    crop = image.resize((side, side), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
    if not dimming:
        return crop
    inside = Image.fromarray(mask[down[0] : down[1], across[0] : across[1]]).convert("L").resize((side, side))
    grey = Image.blend(crop, Image.new("RGB", crop.size, (_GREY, _GREY, _GREY)), dimming)
    return Image.composite(crop, grey, inside)


def is_plain(pixels: NDArray[np.uint8], mask: Mask, levels: int) -> bool:
    """Whether 90 % of a region's pixels have one colour and its box covers more than half of the image.

    ``pixels``: (h, w, 3) of the image.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if 2 * (np.ptp(rows) + 1) * (np.ptp(columns) + 1) <= mask.size:
        return False
    low, high = np.percentile(pixels[mask], (5, 95), axis=0)
    return bool((high - low <= levels).all())


def averaged(scores: Floats, masks: Mask) -> Floats:
    """The mean score (n, labels) of the regions that cover each pixel: (labels, rows, columns).

    Pixels outside of all regions are unknown, the first label, with score 1.
    """
    count, rows, columns = masks.shape
    covered = masks.reshape(count, -1).astype(np.float32)
    times = covered.sum(axis=0)
    planes: Floats = scores.T @ covered / np.maximum(times, 1)
    planes[0, times == 0] = 1
    return planes.reshape(-1, rows, columns)


def with_unknown(scores: Floats) -> Floats:
    """(n, 1 + labels): adds the column of ``unknown``, 1 for parts without any score."""
    return np.concatenate([(~scores.any(axis=1, keepdims=True)).astype(np.float32), scores], axis=1)


def _alike(one: Mask, other: Mask) -> bool:
    return bool(np.count_nonzero(one & other) > ALIKE * np.count_nonzero(one | other))


def _stretch(image: Image.Image, mask: Mask) -> float:
    """The width of a mask pixel on the image, divided by its height."""
    return float((image.width / mask.shape[1]) / (image.height / mask.shape[0]))


def _widened(first: int, end: int, wanted: float, length: int) -> tuple[int, int]:
    """The span widened on both sides to the length ``wanted``, within 0 and ``length``."""
    long = max(int(end - first), min(round(wanted), length))
    begin = min(max(0, int(first) - (long - int(end - first)) // 2), length - long)
    return begin, begin + long
