"""Perceptual hashes: 64 bits that copies of a picture share, whatever their size, compression and brightness.

A bit is the sign of one of the 64 lowest frequencies of the picture, a discrete cosine transform of 32 x 32 grey
cells without its mean (as pHash and PDQ do). Turning or mirroring a picture swaps frequencies or changes signs, so
the hashes of all eight orientations follow from one. Chosen by measurement: ops/decisions/0027-duplicates.md.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

Hashes = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]

# What was done to a picture, in the order of ``variants``. Mirrored: left and right swapped, before it was rotated.
# Rotated: clockwise.
SAME = "same"
TRANSFORMS: Final = (
    SAME, "mirrored", "rotated 180°", "mirrored, rotated 180°",
    "mirrored, rotated 270°", "rotated 90°", "mirrored, rotated 90°", "rotated 270°",
)  # fmt: skip
PARTS: Final = (21, 21, 22)  # bits, from the lowest: each part of a hash turns within itself

_SIDE = 32  # cells in each direction
_HIGHEST = 10  # sum of the vertical and the horizontal frequency
_LEAST = 0.5  # amplitude in levels of 0 to 255; smaller ones are noise of compression
_LEAST_SET = 4  # bits; fewer are no picture


def _layout() -> list[tuple[int, int]]:
    """The vertical and horizontal frequency of each bit, from the lowest.

    Two frequencies that transposition swaps lie side by side, in one part. Each part has frequencies of all heights.
    """
    swapped = [(u, v) for u in range(_HIGHEST) for v in range(u + 1, _HIGHEST + 1) if u + v <= _HIGHEST]
    swapped.sort(key=lambda pair: (sum(pair), pair))
    parts: list[list[tuple[int, int]]] = [[] for _ in PARTS]
    for at, (u, v) in enumerate(swapped):
        parts[at % len(parts)] += [(u, v), (v, u)]
    for at, part in zip((1, 2, 3, 4), (*parts, parts[-1]), strict=True):  # 5 would be the 65th
        part.append((at, at))
    return [pair for part in parts for pair in part]


_BITS = _layout()
_VERTICAL, _HORIZONTAL = np.array(_BITS).T


def _mask(chosen: npt.NDArray[np.bool_]) -> np.uint64:
    return np.uint64(sum(1 << at for at, one in enumerate(chosen) if one))


_ODD_VERTICAL, _ODD_HORIZONTAL = _mask(_VERTICAL % 2 == 1), _mask(_HORIZONTAL % 2 == 1)
_UP, _DOWN, _KEPT = (_mask(one) for one in (_VERTICAL < _HORIZONTAL, _VERTICAL > _HORIZONTAL, _VERTICAL == _HORIZONTAL))
_FLIPS = np.array([0, _ODD_HORIZONTAL, _ODD_VERTICAL ^ _ODD_HORIZONTAL, _ODD_VERTICAL], np.uint64)


def _cosines() -> Floats:
    """(frequencies, cells): gives the amplitudes of cosines, of the mean for frequency 0."""
    cells, frequencies = np.arange(_SIDE), np.arange(_HIGHEST + 1)[:, None]
    waves = np.cos(np.pi * (2 * cells + 1) * frequencies / (2 * _SIDE)) / _SIDE
    waves[1:] *= np.sqrt(2)
    made: Floats = waves
    return made


_WAVES = _cosines()


def perceptual_hash(image: Image.Image) -> int | None:
    """The hash of an upright RGB image of any size, unsigned, 64 bits; ``None`` if it shows too little to have one.

    The whole image counts, squeezed to a square: very long images, too, which encoders see through windows. Of an
    animation the frame counts that ``decode`` returns, of a video its first view.
    """
    # reduced by a whole factor first, which is four times as fast and changes levels by less than one
    cells = image.resize((_SIDE, _SIDE), Image.Resampling.BOX, reducing_gap=2.0).convert("L")
    amplitudes = _WAVES @ np.asarray(cells, np.float64) @ _WAVES.T
    value = int(_mask(amplitudes[_VERTICAL, _HORIZONTAL] > _LEAST))
    return value if value.bit_count() >= _LEAST_SET else None


def variants(hashes: Hashes) -> Hashes:
    """The hashes (8, n) of n pictures in all orientations, in the order of ``TRANSFORMS``.

    They differ from the hashes of the turned pictures by few bits, those of frequencies that the picture lacks.
    """
    one = np.uint64(1)
    transposed = (hashes & _KEPT) | ((hashes & _UP) << one) | ((hashes & _DOWN) >> one)
    return np.concatenate([hashes ^ _FLIPS[:, None], transposed ^ _FLIPS[:, None]])
