"""High dynamic range: brings frames with the transfer functions PQ and HLG (ITU-R BT.2100) to sRGB.

White of graphics is 203 cd/m² in both (ITU-R BT.2408). What is brighter is compressed, so that it does not all become
white; the colours of BT.2020 that sRGB lacks are clipped.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.images.depth import Bytes
from tasks.images.srgb import encoded

PQ, HLG = 16, 18  # ISO/IEC 23091-2, transfer characteristics
_WHITE, _BRIGHTEST = 203.0, 1000.0  # cd/m²
# linear light, ITU-R BT.2087
_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], dtype=np.float32
)
_KNEE = 0.6  # of white; light below stays as it is
_BAND = 2**20  # pixels that are converted at a time
_STEPS = 4095


def to_srgb(pixels: NDArray[np.uint8], transfer: int, to_709: NDArray[np.float32] = _TO_709) -> Bytes:
    """RGB of shape (height, width, 3), full range, with this transfer function.

    ``to_709``: the matrix of linear light from its primaries to those of sRGB; by default from BT.2020.
    """
    signal = np.arange(256) / 255.0
    light = (_pq(signal) if transfer == PQ else _hlg(signal)).astype(np.float32)
    levels = encoded(np.linspace(0.0, 1.0, _STEPS + 1))
    made = np.empty(pixels.shape, dtype=np.uint8)
    rows = max(1, _BAND // max(1, pixels.shape[1]))
    for top in range(0, len(pixels), rows):
        linear = np.maximum(light[pixels[top : top + rows]] @ to_709.T, 0.0)
        above = np.maximum(linear - _KNEE, 0.0) / (1.0 - _KNEE)
        shown = np.minimum(linear, _KNEE) + (1.0 - _KNEE) * (1.0 - np.exp(-above))
        made[top : top + rows] = levels[(shown * _STEPS).astype(np.int32)]
    return made


def _pq(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    root = signal ** (1 / 78.84375)
    light = np.maximum(root - 0.8359375, 0.0) / (18.8515625 - 18.6875 * root)
    made: NDArray[np.float64] = 10000.0 / _WHITE * light ** (1 / 0.1593017578125)
    return made


def _hlg(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """On a display of 1000 cd/m²; its gamma of 1.2 is applied to each channel."""
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    made: NDArray[np.float64] = _BRIGHTEST / _WHITE * scene**1.2
    return made
