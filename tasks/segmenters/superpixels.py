"""Proposals without a model: superpixels of several coarsenesses, from whole things to their parts.

Graph-based (Felzenszwalb and Huttenlocher, IJCV 2004): neighbours are merged while the step between them is small
against the steps within them. ops/decisions/0017-segmentation.md has what other superpixels reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tasks.segmentation.drawing import working
from tasks.segmentation.results import Mask

SIDE = 256  # pixels of the longer side that are looked at
SCALES = (200.0, 800.0, 2500.0)  # the larger, the larger the superpixels
SMALLEST = 80  # pixels of a superpixel, of those that are looked at
SMOOTHED = 0.8  # deviation of the blur before, in pixels


@dataclass(frozen=True)
class Superpixels:
    """A ``Proposer``: the largest first."""

    scales: tuple[float, ...] = SCALES

    def propose(self, image: Image.Image) -> Sequence[Mask]:
        """See ``Proposer.propose``. Each scale's superpixels cover all of the image."""
        from skimage.segmentation import felzenszwalb  # noqa: PLC0415 -- heavy

        pixels = np.asarray(image.resize(working(image.size, SIDE), Image.Resampling.BILINEAR))
        found: list[Mask] = []
        for scale in self.scales:
            labels = felzenszwalb(pixels, scale=scale, sigma=SMOOTHED, min_size=SMALLEST)
            found += [labels == label for label in np.unique(labels)]
        found.sort(key=lambda mask: -np.count_nonzero(mask))
        return [np.asarray(Image.fromarray(mask).resize(image.size, Image.Resampling.NEAREST)) for mask in found]
