"""Colour spaces that a file names by numbers (ITU-T H.273) or by chromaticities, without an ICC profile.

AVIF and HEIF name them in ``nclx``, PNG in the chunks cICP, gAMA and cHRM, JPEG XL in its header.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.images import hdr
from tasks.images.srgb import linear

Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""x and y of white, red, green and blue."""
Levels = NDArray[np.float64]
_D65 = (0.3127, 0.3290)
SRGB: Chromaticities = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
P3: Chromaticities = (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
BT2020: Chromaticities = (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)
_PRIMARIES: dict[int, Chromaticities] = {
    1: SRGB, 4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08), 5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070), 7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: BT2020, 11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060), 12: P3,
}  # fmt: skip
# the curves of cameras (BT.709) are shown as that of sRGB, as browsers do
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}
_NEAR = 0.06  # of a gamma of 2.2, which stands for the curve of sRGB
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D50 = np.array([0.9642, 1.0, 0.8249])
_POINTS = 1024


class Signalled(NamedTuple):
    """``profile``: an ICC profile for RGB. Without: ``transfer`` is that of high dynamic range (``hdr``), for which
    there are no profiles, and ``primaries`` are its own.
    """

    profile: bytes | None
    transfer: int = 0
    primaries: Chromaticities = BT2020

    def bright(self, image: Image.Image) -> Image.Image:
        """An RGB image of high dynamic range in sRGB."""
        from_own, to_own = to_xyz(self.primaries), to_xyz(SRGB)
        assert from_own is not None and to_own is not None  # noqa: PT018, S101 - constants of this module
        matrix = np.linalg.solve(to_own, from_own).astype(np.float32)
        return Image.fromarray(hdr.to_srgb(np.asarray(image), self.transfer, matrix))


def of_codes(primaries: int, transfer: int) -> Signalled | None:
    """``None`` for sRGB, and for numbers that say nothing."""
    known = _PRIMARIES.get(primaries, SRGB)
    if transfer in {hdr.PQ, hdr.HLG}:
        return Signalled(None, transfer, known)
    return of_chromaticities(known, _GAMMAS.get(transfer))


@lru_cache(maxsize=32)
def of_chromaticities(chromaticities: Chromaticities | None, gamma: float | None) -> Signalled | None:
    """``gamma``: the exponent from stored values to light. ``None``: as in sRGB. ``None`` if they make no sense."""
    if gamma is not None and (not 0.5 <= gamma <= 4 or abs(gamma / 2.2 - 1) <= _NEAR):
        gamma = None
    known = chromaticities or SRGB
    if gamma is None and max(abs(a - b) for a, b in zip(known, SRGB, strict=True)) < 0.002:
        return None
    matrix = to_xyz(known)
    return None if matrix is None else Signalled(_profile(matrix, linear if gamma is None else gamma))


def to_xyz(chromaticities: Chromaticities) -> Levels | None:
    """The matrix from linear RGB to XYZ, white as it is; ``None`` if there is none."""
    x, y = np.array(chromaticities).reshape(4, 2).T
    if not ((np.abs(x) <= 1.2) & (np.abs(y) <= 1.2)).all() or not (0.2 <= x[0] <= 0.5 and 0.2 <= y[0] <= 0.5):
        return None
    columns = np.stack([x[1:], y[1:], 1 - x[1:] - y[1:]])
    if abs(np.linalg.det(columns)) < 0.001:
        return None
    white = np.array([x[0] / y[0], 1.0, (1 - x[0] - y[0]) / y[0]])
    made: Levels = columns * np.linalg.solve(columns, white)
    return made if np.abs(made).max() < 100 else None


def _profile(matrix: Levels, curve: float | Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> bytes:
    """An ICC profile of version 2 (ICC.1:2001-04, three components, matrix and curves)."""
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _D50 / (_BRADFORD @ matrix.sum(axis=1))) @ _BRADFORD
    values = [curve * 256] if isinstance(curve, float) else curve(np.linspace(0, 1, _POINTS)) * 65535
    shape = b"curv" + bytes(4) + struct.pack(f">I{len(values)}H", len(values), *(round(float(v)) for v in values))
    tags = {b"wtpt": _xyz(_D50), b"rTRC": shape, b"gTRC": shape, b"bTRC": shape}
    tags |= {
        name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), (adapted @ matrix).T, strict=True)
    }
    table, body = b"", b""
    for name, tag in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    rest = struct.pack(">I", len(tags)) + table + body
    head = struct.pack(">I4sI", 128 + len(rest), b"", 0x02100000) + b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28)
    return head + _xyz(_D50)[8:] + bytes(48) + rest


def _xyz(values: Levels) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(float(value) * 65536) for value in values))
