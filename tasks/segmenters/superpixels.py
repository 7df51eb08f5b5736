"""Proposals without a model: superpixels at several scales, from whole objects to their parts.

Graph-based (Felzenszwalb and Huttenlocher, IJCV 2004): neighbours are merged if the difference between them is small
compared to the differences within them. ops/decisions/segmentation.md compares other superpixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tasks.segmentation.drawing import working
from tasks.segmentation.results import Mask

SIDE = 256  # pixels of the longer side of the resized image
SCALES = (200.0, 800.0, 2500.0)  # the larger, the larger the superpixels
SMALLEST = 80  # minimum size of a superpixel in pixels of the resized image
SMOOTHED = 0.8  # standard deviation of the blur in pixels


@dataclass(frozen=True)
class Superpixels:
    """A ``Proposer``: superpixels, largest first."""

    scales: tuple[float, ...] = SCALES

    def propose(self, image: Image.Image) -> Sequence[Mask]:
        """See ``Proposer.propose``. The superpixels of each scale cover the image."""
        from skimage.segmentation import felzenszwalb  # noqa: PLC0415 -- heavy

        pixels = np.asarray(image.resize(working(image.size, SIDE), Image.Resampling.BILINEAR))
        found: list[Mask] = []
        for scale in self.scales:
            labels = felzenszwalb(pixels, scale=scale, sigma=SMOOTHED, min_size=SMALLEST)
            found += [labels == label for label in np.unique(labels)]
        found.sort(key=lambda mask: -np.count_nonzero(mask))
        return [np.asarray(Image.fromarray(mask).resize(image.size, Image.Resampling.NEAREST)) for mask in found]
