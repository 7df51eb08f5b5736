"""ICO: what its entries hold, before Pillow opens the file, since it decodes the largest one then."""

from __future__ import annotations

import struct

from tasks.images import limits, png
from tasks.images.errors import check_size

_LARGEST = 4096 * 4096  # pixels; icons have 256 x 256


def check(data: bytes, max_pixels: int) -> None:
    """Raise a ``BadImage`` for too many entries, or one whose own header says more pixels than allowed."""
    max_pixels = min(max_pixels, _LARGEST)
    (count,) = struct.unpack_from("<H", data.ljust(6, b"\0"), 4)
    limits.check("ICO entries", count)
    for index in range(count):
        if 6 + 16 * (index + 1) > len(data):
            return
        _, at = struct.unpack_from("<II", data, 6 + 16 * index + 8)
        if data[at : at + 8] == png.SIGNATURE and at + 24 <= len(data):
            width, height = struct.unpack_from(">II", data, at + 16)
            check_size(width, height, max_pixels)
        elif at + 16 <= len(data):
            width, height = struct.unpack_from("<ii", data, at + 4)
            check_size(abs(width), abs(height) // 2 or abs(height), max_pixels)
