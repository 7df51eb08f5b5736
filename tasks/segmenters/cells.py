"""Proposals independent of the content: the cells of a grid, as in the reference implementation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tasks.segmentation.results import Mask


@dataclass(frozen=True)
class Cells:
    """A ``Proposer``: for each size, a grid of ``size`` × ``size`` cells that covers the whole image."""

    sizes: tuple[int, ...] = (3,)

    def propose(self, image: Image.Image) -> Sequence[Mask]:
        """See ``Proposer.propose``. An image with fewer pixels than cells has empty ones."""
        found: list[Mask] = []
        for size in self.sizes:
            row, column = (np.arange(length) * size // length for length in (image.height, image.width))
            cells = row[:, None] * size + column
            found += [cells == cell for cell in range(size * size)]
        return found
