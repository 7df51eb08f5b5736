"""Dense segmentation: average crops of several grids into a map, name its cells (DenseCaSED, arXiv 2404.10864)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.encoders.protocols import ImageEncoder
from tasks.message_parts import Floats
from tasks.pipeline import Pipeline
from tasks.segmentation.drawing import Drawing
from tasks.segmentation.grids import FLAT, SIZES, Grid, accumulated, boxes_of, coverage, crops, grids, squeezed
from tasks.segmentation.naming import DEFAULT, Named, Naming, named
from tasks.vector_maths import unit

CHUNK = 64  # maximum number of crops in memory; encoders choose their own batch size
MAP = 16  # cells per side, as in the paper


@dataclass(frozen=True)
class Dense:
    """The dense method. ``sizes`` and ``half_strides``: see ``grids``. ``cells``: cells per side of the map.

    ``side``: pixels per side of a crop; ``None`` for the encoder's. ``flat``: crops whose pixels differ by at most
    this many levels are not encoded, and cells mostly covered by them are unknown; ``None`` encodes all crops, as in
    the paper. ``refine``: encode the shifted crops of the finest grid only over cells whose neighbours have another
    label, until no more are needed, and estimate the others from overlapping crops. This encodes a seventh fewer
    crops and changes the label of about 2 % of the area (ops/decisions/0017-segmentation.md).
    """

    name: ClassVar[str] = "dense"

    sizes: tuple[int, ...] = SIZES
    half_strides: bool = True
    cells: int = MAP
    side: int | None = None
    flat: int | None = FLAT
    refine: bool = False
    naming: Naming = DEFAULT

    def __post_init__(self) -> None:
        """Raises ``ValueError`` if the crops would not cover the last cells of the map."""
        if not any(self.cells % size == 0 for size in self.sizes):
            sizes = ", ".join(map(str, self.sizes))
            raise ValueError(f"the map's {self.cells} cells per side are divisible by none of the grid sizes {sizes}")

    def draw(self, image: Image.Image, pipeline: Pipeline) -> Drawing:
        """The map, with one plane per label."""
        wanted = grids(self.sizes, half_strides=self.half_strides)
        covered = coverage(boxes_of(wanted), (self.cells, self.cells))
        looks = Looks(image, self, pipeline.image_encoder)
        whole, extra = np.zeros(pipeline.index.dimension, np.float32), 0
        if self.naming.source == "image":
            whole, extra = pipeline.image_encoder.encode([image])[0], 1
        wait = [np.full(len(grid.boxes()), self.refine and self._is_moved_finest(grid)) for grid in wanted]
        looks.at(~np.concatenate(wait))
        found = self._named(looks, covered, whole, pipeline)
        looked_up = found.looked_up
        while (more := looks.waiting & (covered & self._disputed(found)).any(axis=(1, 2))).any():
            looks.at(more)
            found = self._named(looks, covered, whole, pipeline)
            looked_up += found.looked_up
        planes = one_hot(found).T.reshape(-1, self.cells, self.cells)
        return Drawing(
            labels=found.labels,
            planes=np.ascontiguousarray(planes),
            parts=np.eye(self.cells**2, dtype=bool).reshape(-1, self.cells, self.cells),
            hits=found.hits,
            encoded=looks.encoded + extra,
            looked_up=looked_up,
        )

    def _is_moved_finest(self, grid: Grid) -> bool:
        return grid.size == max(self.sizes) and (grid.down or grid.right)

    def _disputed(self, found: Named) -> NDArray[np.bool_]:
        return contested(one_hot(found).argmax(axis=1).reshape(self.cells, self.cells))

    def _named(self, looks: Looks, covered: NDArray[np.bool_], whole: Floats, pipeline: Pipeline) -> Named:
        """Names for the cells of the map, from the crops encoded so far."""
        vectors = looks.guessed()
        cells = accumulated(vectors, covered)
        cells[2 * covered[looks.flat].sum(axis=0) > covered.sum(axis=0)] = 0
        return named(
            cells.reshape(self.cells**2, -1), np.ones(self.cells**2, np.float32), whole, pipeline, self.naming
        )


class Looks:
    """The crops of an image and the vectors of those encoded so far. Index ``i`` belongs to the ``i``-th box.

    ``vectors``: (n, d), zeros for crops without a vector. ``flat`` (n,): crops of one colour, which are not encoded.
    ``waiting`` (n,): crops that are neither flat nor encoded.
    """

    def __init__(self, image: Image.Image, method: Dense, encoder: ImageEncoder) -> None:
        self._grids = grids(method.sizes, half_strides=method.half_strides)
        self._side = method.side or encoder.side
        self._cut = partial(crops, fitting(image, max(method.sizes, default=1) * self._side), self._grids)
        self._encoder = encoder
        levels = -1 if method.flat is None else method.flat
        self.flat = np.array([is_flat(crop, levels) for crop in self._cut()])
        self.vectors = np.zeros((len(self.flat), encoder.space.dimension), np.float32)
        self.waiting = ~self.flat
        self.encoded = 0

    def at(self, which: NDArray[np.bool_]) -> None:
        """Encode the selected crops (n,) that are waiting."""
        wanted = which & self.waiting
        self.waiting &= ~wanted
        cut = ((at, squeezed(crop, self._side)) for at, crop in enumerate(self._cut()) if wanted[at])
        while chunk := list(islice(cut, CHUNK)):
            vectors = self._encoder.encode([crop for _, crop in chunk])
            # half precision may overflow; ignore such a crop
            finite = np.isfinite(vectors).all(axis=1, keepdims=True)
            self.vectors[[at for at, _ in chunk]] = np.where(finite, vectors, np.float32(0))
            self.encoded += len(chunk)

    def guessed(self) -> Floats:
        """The vectors (n, d); those of waiting crops are estimated from overlapping crops of the same size."""
        missing = np.flatnonzero(self.waiting)
        if not len(missing):
            return self.vectors
        boxes = boxes_of(self._grids)
        x, y, width, height = np.abs(boxes[missing, None] - boxes[None]).transpose(2, 0, 1)
        size = boxes[missing, None, 2]
        shared = np.maximum(0, 1 - x / size) * np.maximum(0, 1 - y / size) * (width + height < 1e-6)
        vectors = self.vectors.copy()
        vectors[missing] = unit(shared @ self.vectors)
        return vectors


def fitting(image: Image.Image, most: int) -> Image.Image:
    """The image with at most ``most`` pixels per side; its aspect ratio may change, as crops are resized anyway.

    The crops of the finest grid keep their full resolution, and a large image is resampled once, not once per grid.
    """
    size = min(image.width, most), min(image.height, most)
    return image if size == image.size else image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def is_flat(image: Image.Image, levels: int) -> bool:
    """Whether the pixels of an RGB image differ by at most ``levels`` of 255 in each channel."""
    # Pillow is ten times as fast as numpy here
    return all(high - low <= levels for low, high in image.getextrema())  # type: ignore[misc]  # a pair per channel


def one_hot(found: Named) -> Floats:
    """(parts, 1 + labels): the score of each part's best label, else 0; column 0 is 1 where the part is unknown."""
    planes = np.zeros((len(found.scores), 1 + len(found.labels)), np.float32)
    known = found.scores.any(axis=1)
    best = np.flatnonzero(known)
    if len(best):
        at = found.scores[best].argmax(axis=1)
        planes[best, 1 + at] = found.scores[best, at]
    planes[~known, 0] = 1
    return planes


def contested(winners: NDArray[np.intp]) -> NDArray[np.bool_]:
    """The cells of a map (rows, columns) that have a neighbour with another label."""
    found = np.zeros(winners.shape, dtype=bool)
    across, down = winners[:, 1:] != winners[:, :-1], winners[1:] != winners[:-1]
    found[:, 1:] |= across
    found[:, :-1] |= across
    found[1:] |= down
    found[:-1] |= down
    return found
