"""Detects images that show nothing: one colour, a gradient, heavy blur, a covered lens, noise.

Encoders name such images all the same: random noise is a doormat to an ImageNet classifier. The test reads brightness
only and knows no encoder. The limits were chosen by measurement: ops/decisions/0023-confidence.md.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from tasks.images.small_grey import CELLS, Floats, SmallGrey

LEAST_CONTRAST = 20.0  # 99th percentile of the Laplacian's size over the grid, in levels of 0 to 255
LEAST_CORRELATION = 0.3  # of neighbouring cells; noise has none
# An image that was reduced first has other cells: its contrast is up to 1.2 times as high, its correlation up to 0.05
# higher (482 photographs, blurred and noisy ones, noise and drawings). Above these limits it is not looked at again.
_CLEAR_CONTRAST, _CLEAR_CORRELATION = 30.0, 0.45
_CLEAR_SHARE = 0.02  # of the cells have that contrast, so that the percentile is above it


def is_featureless(image: Image.Image, small: SmallGrey | None = None) -> bool:
    """Whether an RGB image of any size has no edges, or nothing but noise. ``small``: of the image, for speed."""
    if small is not None:
        cells = small.cells(Image.Resampling.BOX)
        edges = np.count_nonzero(_laplacian(cells) >= _CLEAR_CONTRAST) > _CLEAR_SHARE * cells.size
        if edges and _correlation(cells) >= _CLEAR_CORRELATION:
            return False
    cells = np.asarray(image.convert("L").resize((CELLS, CELLS), Image.Resampling.BOX), np.float64)
    return _contrast(cells) < LEAST_CONTRAST or _correlation(cells) < LEAST_CORRELATION


def _contrast(cells: Floats) -> float:
    return float(np.percentile(_laplacian(cells), 99))


def _laplacian(cells: Floats) -> Floats:
    around = cells[:-2, 1:-1] + cells[2:, 1:-1] + cells[1:-1, :-2] + cells[1:-1, 2:]
    size: Floats = np.abs(4 * cells[1:-1, 1:-1] - around)
    return size


def _correlation(cells: Floats) -> float:
    """Of horizontally and vertically neighbouring cells; 1 if all cells are equal."""
    variance = float(cells.var())
    if variance == 0:
        return 1.0
    steps = np.mean(np.diff(cells, axis=0) ** 2) + np.mean(np.diff(cells, axis=1) ** 2)
    return 1.0 - float(steps) / 4 / variance
