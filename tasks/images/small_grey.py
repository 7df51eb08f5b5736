"""A small grey form of a picture, made once for all that looks at it coarsely.

That are the perceptual hash and the test of what shows nothing: reading all pixels takes most of their time.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

CELLS: Final = 64  # in each direction

Floats = npt.NDArray[np.float64]


class SmallGrey:
    """An RGB image of any size, reduced by whole factors to at least two pixels for each cell, if it has as many."""

    def __init__(self, image: Image.Image) -> None:
        # much faster than to resize; the means of whole pixels do not shift the picture
        by = max(1, image.width // (2 * CELLS)), max(1, image.height // (2 * CELLS))
        self._grey = image.reduce(by).convert("L")
        self._whole = (0, 0, image.width / by[0], image.height / by[1])

    def cells(self, resampling: Image.Resampling) -> Floats:
        """The picture, squeezed to a square of ``CELLS`` by ``CELLS`` levels: whole numbers of 0 to 255."""
        squeezed = self._grey.resize((CELLS, CELLS), resampling, self._whole)
        return np.frombuffer(squeezed.tobytes(), np.uint8).reshape(CELLS, CELLS).astype(np.float64)
