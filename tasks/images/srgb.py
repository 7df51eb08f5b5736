"""The curve of sRGB (IEC 61966-2-1), in both directions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def encoded(light: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Linear light from 0 to 1, of any shape, as levels from 0 to 255."""
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(curve * 255.0).astype(np.uint8)


def linear(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Levels from 0 to 1, of any shape, as linear light from 0 to 1."""
    made: NDArray[np.float64] = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return made
