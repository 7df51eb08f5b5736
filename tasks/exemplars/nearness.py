"""How near two images must be to look alike, from the distances between images of the archive.

The distance of two images is 1 − cosine. Two limits hold for an exemplar, and the smaller one counts:

- a share of its *usual* distance, which three quarters of the archive's images do not exceed. The limit is the same
  whether images lie in a narrow cone (CLIP, SigLIP) or not, since a cone shrinks all distances alike. It follows the
  surroundings of each exemplar, and five images are enough to know it.
- the *reach* of the space: within it, ``CHANCE`` of the archive look like an image by chance. It is extrapolated from
  the bulk of the distances by a power law, since series of nearly equal photographs fill the lower tail itself. It
  limits spaces in which distances say little, such as that of an untrained encoder.

Both hold if up to two thirds of an archive show one thing. Constants were chosen by measurement:
ops/decisions/0029-exemplars.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.message_parts import Floats

SHARE = 0.32  # of the usual distance
UPPER = 0.75  # quantile: of the distances of an image for its usual one, and of the images' reaches
CHANCE = 0.01  # share of the archive within the reach
BULK = (0.1, 0.5)  # quantiles of the distances of an image that the power law passes through
LEAST = 4  # other images from which a usual distance is known
WEIGHT = 8  # images that the expected distance of the space counts for
MOST = 1024  # images that are used of a sample
COPY = 1e-3  # nearer images are copies of one file, and do not count
COPIES_ONLY = 0.02  # distance of images that look alike where no usual distance is known
Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Calibration:
    """The distances of an archive in one space.

    ``sample``: unit vectors (m, d) of images drawn at random. ``reach``: a distance; ``None`` if the space is known
    or fewer than ``LEAST`` + 1 images differ. ``median``: of the distances of random pairs, for people.
    ``expected``: the usual distance in a space that is known to tell images apart; ``None`` in others.
    """

    sample: Floats
    reach: float | None
    median: float | None
    expected: float | None = None

    def usual(self, vector: Floats) -> float | None:
        """The usual distance of an image (d,); ``None`` if it is not known. Copies of the image do not count."""
        others = _others(self.sample, vector)
        if self.expected is None:
            return float(np.quantile(others, UPPER)) if len(others) >= LEAST else None
        own = float(np.quantile(others, UPPER)) if len(others) else 0.0
        return (len(others) * own + WEIGHT * self.expected) / (len(others) + WEIGHT)

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
    distances = [_others(used, vector) for vector in used]
    enough = [others for others in distances if len(others) >= LEAST]
    if not enough:
        return Calibration(used, None, None, expected)
    median = float(np.median(np.concatenate(enough)))
    reach = None if expected is not None else float(np.quantile([_reach(others) for others in enough], UPPER))
    return Calibration(used, reach, median, expected)


def _others(sample: Floats, vector: Floats) -> Numbers:
    """The distances of an image to those of the sample that are no copies of it."""
    distances = 1.0 - (sample @ vector).astype(np.float64)
    others: Numbers = distances[distances > COPY]
    return others


def _reach(distances: Numbers) -> float:
    """The distance within which a share ``CHANCE`` of the images would be if the power law held."""
    low, high = np.quantile(distances, BULK).tolist()
    exponent = np.log(high / low) / np.log(BULK[1] / BULK[0])  # 1 / dimension, 0 if all distances are equal
    return float(low * (CHANCE / BULK[0]) ** exponent)
