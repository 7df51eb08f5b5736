"""Depth: converts values of more than 8 bits, signed values and floats to 8 bits.

The rule, for the robust extremes ``low`` and ``high`` of an image's colour values (see ``extremes``):

- Unsigned integers of n bits, n up to 16, have the declared range 0 to 2^n - 1. A file that declares 10 or 12 bits is
  believed. One of 16 bits may hold fewer (12 bits of a sensor in 16), also a PNG, whose standard forbids it. It is
  taken for one, with the range 0 to 2^m - 1 and the smallest m that holds ``high``, if

  - ``high`` is below 2^12: such a picture would show nothing, its levels being 0 to 15 of 255, or
  - ``high`` is within the last 64th below 2^14, where the values of a sensor of 14 bits end, and the values are not
    all multiples of 16, as those that were made of 12 bits,

  unless the values are multiples of 257 or of 256: those were made of 8 bits, and fill the range. Any other dark
  picture of 16 bits is a night. PNG may tell the bits (sBIT): then they decide, if ``high`` is within them.
- Floats within 0 and 1 have the range 0 to 1.
- Everything else (signed and 32-bit integers, other floats) has no natural range: ``low`` becomes black and ``high``
  white. So it is for images that use less than an eighth of the range above and are far from black (thermal cameras),
  and for floats that use less than an eighth of 1.

Values outside are clipped. Values that are not finite are black.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]
Bytes = NDArray[np.uint8]
_SAMPLE = 1_000_000
_ROWS = 2**22  # values that are converted at a time
_PERCENT = 0.1
_LEAST = 16  # values without which there are no outliers


def to_bytes(values: Values, bits: int | None = None, fewer: int | None = None) -> Bytes:
    """Scale an array of any numeric type and shape to 0 to 255; all channels alike.

    ``bits``: significant bits of unsigned integers, by default those of the type. ``fewer``: as of ``bounds``.
    """
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype == np.uint8 and bits in {None, 8}:
        return values
    if values.dtype == np.uint8 and bits is not None:  # fewer than 8 bits, in their declared range
        return _scaled(values, 0.0, float(2**bits - 1))
    low, high = bounds(values, bits, fewer)
    return _scaled(values, low, high)


def opacity_to_bytes(values: Values, colours: Values, bits: int | None = None) -> Bytes:
    """Opacity in its declared range, or in that of the colours where both hold fewer than their 16 bits.

    ``bits``: as of ``to_bytes``; signed values have one less. Floats have the range 0 to 1, or 0 to 255.
    """
    if values.dtype.kind == "f":
        top = 1.0 if float(np.nanmax(values, initial=0.0)) <= 1 else 255.0
    else:
        declared = bits or 8 * values.dtype.itemsize
        top = float(2 ** (declared - (values.dtype.kind == "i")) - 1)
        if values.dtype == np.uint16 and declared == 16 and (held := bounds(colours)[1]) == values.max():
            top = held
    return _scaled(values, 0.0, max(top, 1.0))


def bounds(values: Values, bits: int | None = None, fewer: int | None = None) -> tuple[float, float]:
    """The values that become black and white. ``fewer``: bits that the file says to be in use, of 16."""
    low, high = extremes(values)
    top: float | None = None
    if values.dtype.kind == "u":
        declared = bits or 8 * values.dtype.itemsize
        if declared <= 16:
            top = float(2 ** (_used_bits(values, high, fewer) if declared == 16 else declared) - 1)
    elif values.dtype.kind == "i" and low >= 0 and high <= 65535 and values.dtype.itemsize > 2:
        return bounds(np.clip(values, 0, 65535).astype(np.uint16), fewer=fewer)  # Pillow's mode I holds 16 bits
    elif values.dtype.kind == "f" and low >= 0 and high <= 1:
        top = 1.0
    if top is not None and (high - low >= top / 8 or high == low or (values.dtype.kind != "f" and _dark(low, high))):
        return 0.0, max(top, 1e-30)
    return low, high


def _used_bits(values: Values, high: float, told: int | None) -> int:
    """The bits in use of 16; 16 if the values fill the range that they declare. ``told``: as the file says."""
    held = max(1, int(high).bit_length())
    if held > 14 or (held > 12 and not told and high < 2**14 - 2**8):
        return 16
    sample = _sampled(values)
    sample = sample[(sample > 0) & (sample <= high)]
    if held > 8 and any(not (sample % step).any() for step in (257, 256 if held <= 12 else 16)):
        return 16
    return held if not told else told if held <= told else 16


def _dark(low: float, high: float) -> bool:
    """Whether values begin near black, as seen from their width."""
    return low <= (high - low) / 4


def _sampled(values: Values) -> Values:
    if values.ndim > 1 and not values.flags.c_contiguous:  # a part of the channels: it would be copied whole
        step = max(1, math.isqrt(values.size // _SAMPLE))
        values = values[::step, ::step]
    flat = values.reshape(-1)
    return flat[:: flat.size // _SAMPLE] if flat.size > _SAMPLE else flat


def extremes(values: Values) -> tuple[float, float]:
    """The smallest and largest value that belong to the picture.

    The true extremes, unless they are far away from nearly all others: hot pixels, and the value that stands for
    missing data. "Far": further from the 0.1 and 99.9 percentiles than these are from each other, or alone beyond a
    gap of that width.
    """
    sample = _sampled(values).astype(np.float64)
    sample = sample[np.isfinite(sample) & (np.abs(sample) < 1e30)]  # GDAL marks missing data by -3.4e38
    if not sample.size:
        return 0.0, 0.0
    sample.sort()
    for _ in range(2):  # a value for missing data at either end
        sample = _without_constant(sample)
    low, high = float(sample[0]), float(sample[-1])
    if sample.size >= _LEAST:
        inner_low, inner_high = (float(v) for v in np.percentile(sample, (_PERCENT, 100 - _PERCENT)))
        if sample.size < 2000:  # the percentiles are the extremes themselves: leave out one value at either end
            inner_low, inner_high = float(sample[1]), float(sample[-2])
        width = inner_high - inner_low
        if width > 0:
            low = inner_low if inner_low - low > width else low
            high = inner_high if high - inner_high > width else high
    return low, high


def _without_constant(ordered: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave out a value at one end that many share and that is further from the rest than the rest is wide."""
    if ordered.size < _LEAST:
        return ordered
    after = int(np.searchsorted(ordered, ordered[0], side="right"))
    before = int(np.searchsorted(ordered, ordered[-1], side="left"))
    if 1 < after <= ordered.size * 0.9:
        rest = ordered[after:]
        width = float(rest[-1] - rest[0])
        if width > 0 and rest[0] - ordered[0] > width and _is_marker(ordered[0]):
            return rest
    if 1 < ordered.size - before <= ordered.size * 0.9:
        rest = ordered[:before]
        width = float(rest[-1] - rest[0])
        if width > 0 and ordered[-1] - rest[-1] > width and _is_marker(ordered[-1]):
            return rest
    return ordered


def _is_marker(value: float) -> bool:
    """Whether a value may stand for missing data: any but a plain 1, which is white in many images of two parts."""
    return value != 1.0


def _scaled(values: Values, low: float, high: float) -> Bytes:
    width = (high - low) or 1.0
    made = np.empty(values.shape, dtype=np.uint8)
    step = max(1, _ROWS // max(1, values[0].size if len(values) else 1))
    for begin in range(0, len(values), step):
        part = values[begin : begin + step].astype(np.float64)
        part = np.nan_to_num(part, nan=low, posinf=low, neginf=low)
        made[begin : begin + step] = np.rint(np.clip((part - low) / width, 0.0, 1.0) * 255.0).astype(np.uint8)
    return made
