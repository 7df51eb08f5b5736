"""Crops on grids, and the map of their accumulated vectors (DenseCaSED, arXiv 2404.10864).

Boxes are relative: x, y, width and height as shares of the image's sides. The steps and their rounding are those of
the reference implementation, so crops and maps are equal to its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.message_parts import Floats
from tasks.vector_maths import unit

SIZES = (2, 4, 8)  # cells per side, as in the paper
FLAT = 6  # levels of 255 per channel within one colour: the noise of a JPEG
_BILINEAR = Image.Resampling.BILINEAR  # with antialiasing when shrinking


@dataclass(frozen=True)
class Grid:
    """``size`` × ``size`` cells; ``down`` and ``right`` shift the grid by half a cell.

    A shifted grid has one row or column fewer.
    """

    size: int
    down: bool = False
    right: bool = False

    @property
    def rows(self) -> int:
        return self.size - self.down

    @property
    def columns(self) -> int:
        return self.size - self.right

    def boxes(self) -> Floats:
        """The boxes of the cells, (rows × columns, 4), row by row."""
        y, x = np.indices((self.rows, self.columns), dtype=np.float64).reshape(2, -1)
        boxes = np.stack([x + self.right / 2, y + self.down / 2, np.ones_like(x), np.ones_like(x)], axis=1)
        shares: Floats = (boxes / self.size).astype(np.float32)
        return shares


def grids(sizes: Sequence[int] = SIZES, *, half_strides: bool = True) -> list[Grid]:
    """The grids of these sizes; ``half_strides`` adds the shifted ones. 283 cells for 2, 4 and 8."""
    found = []
    for size in sizes:
        found.append(Grid(size))
        if half_strides and size > 1:
            found += [Grid(size, right=True), Grid(size, down=True), Grid(size, down=True, right=True)]
    return found


def boxes_of(wanted: Sequence[Grid]) -> Floats:
    """The boxes of the cells of these grids, (n, 4), in the order of ``crops``."""
    return np.concatenate([np.empty((0, 4), np.float32), *[grid.boxes() for grid in wanted]])


def crops(image: Image.Image, wanted: Sequence[Grid], side: int | None = None) -> Iterator[Image.Image]:
    """The crop of each cell of these grids, resized to a square of ``side`` pixels if ``side`` is given.

    The image is first resized to a multiple of the grid, at least one pixel per cell. Accepts all modes of Pillow.
    """
    fitted: dict[int, Image.Image] = {}
    for grid in wanted:
        width, height = (max(1, length // grid.size) for length in image.size)
        if grid.size not in fitted:
            fitted = {grid.size: image.resize((width * grid.size, height * grid.size), _BILINEAR)}
        whole = fitted[grid.size]
        left, top = grid.right * (width // 2), grid.down * (height // 2)
        for row in range(grid.rows):
            for column in range(grid.columns):
                x, y = left + column * width, top + row * height
                crop = whole.crop((x, y, x + width, y + height))
                yield crop if side is None else squeezed(crop, side)


def squeezed(crop: Image.Image, side: int) -> Image.Image:
    """The crop resized to a square of ``side`` pixels."""
    return crop.resize((side, side), _BILINEAR)


def coverage(boxes: Floats, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The cells of a map of ``shape`` (rows, columns) that each box covers: (n, rows, columns).

    Edges are rounded down to whole cells in float32, as in the reference implementation.
    """
    rows, columns = shape
    scale = np.array([columns, rows, columns, rows], np.float32)
    x, y, width, height = (boxes * scale).astype(np.int64).T[:, :, None]
    across = (x <= np.arange(columns)) & (np.arange(columns) < x + width)
    down = (y <= np.arange(rows)) & (np.arange(rows) < y + height)
    covered: NDArray[np.bool_] = down[:, :, None] & across[:, None, :]
    return covered


def accumulated(vectors: Floats, covered: NDArray[np.bool_]) -> Floats:
    """The normalised mean of the vectors (n, d) that cover each cell: (rows, columns, d); zeros without any."""
    count, rows, columns = covered.shape
    sums = covered.reshape(count, rows * columns).T.astype(np.float32) @ vectors
    return unit(sums).reshape(rows, columns, -1)
