"""Dense: crops of several grids, averaged into a map, each cell of the map named (DenseCaSED, arXiv 2404.10864)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.encoders.protocols import ImageEncoder
from tasks.messages import Floats
from tasks.pipeline import Pipeline
from tasks.segmentation.drawing import Drawing
from tasks.segmentation.grids import FLAT, SIZES, Grid, accumulated, boxes_of, coverage, crops, grids, squeezed
from tasks.segmentation.naming import DEFAULT, Named, Naming, named
from tasks.vector_maths import unit

CHUNK = 64  # crops that are in memory at once; encoders batch them as they like
MAP = 16  # cells a side, as in the paper


@dataclass(frozen=True)
class Dense:
    """``sizes`` and ``half_strides``: the grids. ``cells``: of the map, a side. ``side``: pixels of a crop's sides.

    Without ``side`` crops have the encoder's. ``flat``: crops whose pixels differ by no more show nothing and are not
    encoded; a cell that they cover for the most part is unknown. ``None`` encodes all, as the paper does.
    ``refine``: crops of the finest size's moved grids are looked at only over cells whose neighbours disagree, again
    and again until that asks for no more, and guessed from the crops around elsewhere: a seventh fewer crops, and
    another label on some 2 % of the area (ops/decisions/0017-segmentation.md).
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
        """Raises ``ValueError`` where no crop would cover the last cells."""
        if not any(self.cells % size == 0 for size in self.sizes):
            sizes = ", ".join(map(str, self.sizes))
            raise ValueError(f"a map of {self.cells} cells a side needs a grid that divides it, and there is {sizes}")

    def draw(self, image: Image.Image, pipeline: Pipeline) -> Drawing:
        """The map, one plane a label."""
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
        """Names for the cells of the map, as far as it was looked at."""
        vectors = looks.guessed()
        cells = accumulated(vectors, covered)
        cells[2 * covered[looks.flat].sum(axis=0) > covered.sum(axis=0)] = 0
        return named(
            cells.reshape(self.cells**2, -1), np.ones(self.cells**2, np.float32), whole, pipeline, self.naming
        )


class Looks:
    """The crops of an image that were looked at so far. Position ``i`` belongs to the ``i``-th box.

    ``vectors``: (n, d), zeros where there is none. ``flat``: of one colour, known before any is encoded. ``waiting``:
    neither that nor encoded yet.
    """

    def __init__(self, image: Image.Image, way: Dense, encoder: ImageEncoder) -> None:
        self._grids = grids(way.sizes, half_strides=way.half_strides)
        self._side = way.side or encoder.side
        self._cut = partial(crops, fitting(image, max(way.sizes, default=1) * self._side), self._grids)
        self._encoder = encoder
        levels = -1 if way.flat is None else way.flat
        self.flat = np.array([is_flat(crop, levels) for crop in self._cut()])
        self.vectors = np.zeros((len(self.flat), encoder.space.dimension), np.float32)
        self.waiting = ~self.flat
        self.encoded = 0

    def at(self, which: NDArray[np.bool_]) -> None:
        """Encode those of these that are not flat and were not encoded before."""
        wanted = which & self.waiting
        self.waiting &= ~wanted
        cut = ((at, squeezed(crop, self._side)) for at, crop in enumerate(self._cut()) if wanted[at])
        while chunk := list(islice(cut, CHUNK)):
            vectors = self._encoder.encode([crop for _, crop in chunk])
            # half precision may overflow: such a crop says nothing
            finite = np.isfinite(vectors).all(axis=1, keepdims=True)
            self.vectors[[at for at, _ in chunk]] = np.where(finite, vectors, np.float32(0))
            self.encoded += len(chunk)

    def guessed(self) -> Floats:
        """The vectors, those of crops that were not encoded yet from crops of the same size that overlap them."""
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
    """The image with sides of ``most`` pixels at the most, whatever becomes of its shape: crops are squeezed anyway.

    No crop of the finest grid is enlarged by that, and a large image is read once instead of once a grid.
    """
    size = min(image.width, most), min(image.height, most)
    return image if size == image.size else image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def is_flat(image: Image.Image, levels: int) -> bool:
    """Whether no channel of an RGB picture differs by more than ``levels`` of 255."""
    # Pillow's, since numpy takes ten times as long along the first axes of three
    return all(high - low <= levels for low, high in image.getextrema())  # type: ignore[misc]  # a pair a channel


def one_hot(found: Named) -> Floats:
    """(parts, 1 + labels): the score of a part's best label, nothing elsewhere; 1 in front where it is unknown."""
    planes = np.zeros((len(found.scores), 1 + len(found.labels)), np.float32)
    known = found.scores.any(axis=1)
    best = np.flatnonzero(known)
    if len(best):
        at = found.scores[best].argmax(axis=1)
        planes[best, 1 + at] = found.scores[best, at]
    planes[~known, 0] = 1
    return planes


def contested(winners: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Cells with another label beside, above or below them."""
    found = np.zeros(winners.shape, dtype=bool)
    across, down = winners[:, 1:] != winners[:, :-1], winners[1:] != winners[:-1]
    found[:, 1:] |= across
    found[:, :-1] |= across
    found[1:] |= down
    found[:-1] |= down
    return found
