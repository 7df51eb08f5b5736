"""How near two images must be to look alike, from the distances between images of the archive.

The distance of two images is 1 − cosine. Two limits hold for an exemplar, and the smaller one counts:

- a share of its *usual* distance, which three quarters of the archive's images do not exceed. The limit is the same
  whether images lie in a narrow cone (CLIP, SigLIP) or not, since a cone shrinks all distances alike. It follows the
  surroundings of each exemplar, and five images are enough to know it.
- the *reach*: of two images drawn at random, ``CHANCE`` are nearer. It is extrapolated from the bulk of the distances
  by a power law, since series of nearly equal photographs fill the lower tail itself. It limits spaces in which
  distances say little, such as that of an untrained encoder.

Constants were chosen by measurement: ops/decisions/0029-exemplars.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.message_parts import Floats

SHARE = 0.32  # of the usual distance
USUAL = 0.75  # quantile of the distances of an image to the archive
CHANCE = 0.02  # share of random pairs within the reach
BULK = (0.1, 0.5)  # quantiles of the distances of random pairs that the power law passes through
LEAST = 4  # other images from which a usual distance is known
MOST = 1024  # images that are used of a sample
COPY = 1e-3  # nearer images are copies of one file, and count as one
COPIES_ONLY = 0.02  # distance of images that look alike where no usual distance is known
Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Calibration:
    """The distances of an archive in one space.

    ``sample``: unit vectors (m, d) of images drawn at random. ``reach``: a distance; ``None`` if there are fewer than
    ``LEAST`` different images. ``expected``: the usual distance in the space, for archives that are smaller than
    that; ``None`` if it is not known. ``median``: of the distances of random pairs, for people.
    """

    sample: Floats
    reach: float | None
    median: float | None
    expected: float | None = None

    def usual(self, vector: Floats) -> float | None:
        """The usual distance of an image (d,); ``None`` if it is not known. Copies of the image do not count."""
        distances = 1.0 - (self.sample @ vector).astype(np.float64)
        others = distances[distances > COPY]
        return float(np.quantile(others, USUAL)) if len(others) >= LEAST else self.expected

    def radius(self, vector: Floats) -> float:
        """The largest distance of an image that looks like this one (d,)."""
        usual = self.usual(vector)
        if usual is None:
            return COPIES_ONLY
        near = SHARE * usual
        return near if self.reach is None else min(near, self.reach)


def calibrate(sample: Floats, expected: float | None = None) -> Calibration:
    """The calibration of an archive.

    ``sample``: unit vectors (m, d) of its images, drawn at random; it may be empty. The first ``MOST`` are used. The
    order makes no difference if there are no more. ``expected``: see ``Calibration``.
    """
    used = sample[:MOST]
    rows, columns = np.triu_indices(len(used), 1)
    distances = 1.0 - (used @ used.T)[rows, columns].astype(np.float64)
    different = distances[distances > COPY]
    if len(different) < LEAST * (LEAST - 1) // 2:
        return Calibration(used, None, None, expected)
    return Calibration(used, _reach(different), float(np.median(different)), expected)


def _reach(distances: Numbers) -> float:
    """The distance within which a share ``CHANCE`` of the pairs would be if the power law held."""
    low, high = np.quantile(distances, BULK).tolist()
    exponent = np.log(high / low) / np.log(BULK[1] / BULK[0])  # 1 / dimension, 0 if all distances are equal
    return float(low * (CHANCE / BULK[0]) ** exponent)
