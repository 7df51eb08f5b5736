"""Detects images that show nothing: one colour, a gradient, heavy blur, a covered lens, noise.

Encoders name such images all the same: random noise is a doormat to an ImageNet classifier. The test reads brightness
only and knows no encoder. The limits were chosen by measurement: ops/decisions/0023-confidence.md.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

SIDE = 64  # cells of the grid that an image is averaged over, in each direction
LEAST_CONTRAST = 20.0  # 99th percentile of the Laplacian's size over the grid, in levels of 0 to 255
LEAST_CORRELATION = 0.3  # of neighbouring cells; noise has none


def is_featureless(image: Image.Image) -> bool:
    """Whether an RGB image of any size has no edges, or nothing but noise."""
    cells = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), np.float64)
    return _contrast(cells) < LEAST_CONTRAST or _correlation(cells) < LEAST_CORRELATION


def _contrast(cells: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> float:
    around = cells[:-2, 1:-1] + cells[2:, 1:-1] + cells[1:-1, :-2] + cells[1:-1, 2:]
    return float(np.percentile(np.abs(4 * cells[1:-1, 1:-1] - around), 99))


def _correlation(cells: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> float:
    """Of horizontally and vertically neighbouring cells; 1 if all cells are equal."""
    variance = float(cells.var())
    if variance == 0:
        return 1.0
    steps = np.mean(np.diff(cells, axis=0) ** 2) + np.mean(np.diff(cells, axis=1) ** 2)
    return 1.0 - float(steps) / 4 / variance
