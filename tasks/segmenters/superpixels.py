"""Proposals without a model: superpixels of several scales, from whole things to their parts.

Graph-based (Felzenszwalb and Huttenlocher, IJCV 2004): merges neighbours while their difference is small compared
with the differences within them. Other superpixels are compared in ops/decisions/0017-segmentation.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tasks.segmentation.drawing import working
from tasks.segmentation.results import Mask

SIDE = 256  # the image is reduced to this longer side in pixels
SCALES = (200.0, 800.0, 2500.0)  # larger values give larger superpixels
SMALLEST = 80  # minimum pixels of a superpixel in the reduced image
SMOOTHED = 0.8  # standard deviation of the preceding blur in pixels


@dataclass(frozen=True)
class Superpixels:
    """A ``Proposer``: largest superpixels first."""

    scales: tuple[float, ...] = SCALES

    def propose(self, image: Image.Image) -> Sequence[Mask]:
        """See ``Proposer.propose``. Each scale's superpixels cover the whole image."""
        from skimage.segmentation import felzenszwalb  # noqa: PLC0415 -- heavy

        pixels = np.asarray(image.resize(working(image.size, SIDE), Image.Resampling.BILINEAR))
        found: list[Mask] = []
        for scale in self.scales:
            labels = felzenszwalb(pixels, scale=scale, sigma=SMOOTHED, min_size=SMALLEST)
            found += [labels == label for label in np.unique(labels)]
        found.sort(key=lambda mask: -np.count_nonzero(mask))
        return [np.asarray(Image.fromarray(mask).resize(image.size, Image.Resampling.NEAREST)) for mask in found]
