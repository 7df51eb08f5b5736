"""Finds the rows of plain pixels in BMP, icons, PPM and TIFF, for ``unwritten``."""

from __future__ import annotations

import struct
from typing import Any

from tasks.images import limits
from tasks.images.errors import TruncatedImage
from tasks.images.layouts import PALETTE, Layout
from tasks.images.unwritten import Rows, check
from tasks.message_parts import MediaWarning

_PNM_BITS = {"1;I": 1, "L": 8, "RGB": 24, "F;32F": 32, "F;32BF": 32}
_ZEROS, _END = 16, b"\0\1"


def check_opened(kind: str, image: Any, data: bytes) -> MediaWarning | None:
    """As ``unwritten.check``, for a BMP, an icon or a PPM that Pillow has opened and not loaded."""
    if kind == "ICO":
        return _check_icon(image.size, data)
    if kind not in {"BMP", "PPM"} or len(image.tile) != 1:
        return None
    codec, _, offset, args = image.tile[0]
    if codec == "bmp_rle":
        limits.check("BMP pixels in runs", image.width * image.height)
        limits.check("BMP bytes in runs", len(data))
    if codec == "bmp_rle" and data.endswith(bytes(_ZEROS)) and not data.rstrip(b"\0").endswith(_END[1:]):
        raise TruncatedImage("the BMP image is truncated: zeros are in place of its end")
    if kind == "BMP":
        return _check_bitmap("BMP", data, 14, offset, image.size) if codec == "raw" else None
    mode = args[0] if isinstance(args, tuple) else args
    return check_rows("PPM", data, offset, image.size, _PNM_BITS.get(mode, 0), upwards=mode.startswith("F"))


def check_rows(
    kind: str, data: bytes, offset: int, size: tuple[int, int], bits: int, *, upwards: bool = False
) -> MediaWarning | None:
    """As ``unwritten.check``, for rows of pixels of so many bits without gaps."""
    used = (size[0] * bits + 7) // 8
    rows = _within(data, [(offset, size[1])], used, used, bits)
    return check(kind, rows, upwards=upwards) if rows else None


def _check_icon(size: tuple[int, int], data: bytes) -> MediaWarning | None:
    """An icon holds bitmaps without their file header, of twice the height: a mask is behind the pixels."""
    (count,) = struct.unpack_from("<H", data, 4)
    for index in range(count):
        _, at = struct.unpack_from("<II", data, 6 + 16 * index + 8)
        if at + 40 > len(data) or data[at : at + 4] != b"\x28\0\0\0":
            continue
        width, height, _, bits = struct.unpack_from("<iiHH", data, at + 4)
        (colours,) = struct.unpack_from("<I", data, at + 32)
        if (width, abs(height) // 2) == size and bits:
            table = 4 * (colours or 1 << bits) if bits <= 8 else 0
            return _check_bitmap("ICO", data, at, at + 40 + table, size)
    return None


def _check_bitmap(kind: str, data: bytes, at: int, offset: int, size: tuple[int, int]) -> MediaWarning | None:
    """``at``: of the header; ``offset``: of the pixels."""
    old = data[at : at + 4] == b"\x0c\0\0\0"
    (bits,) = struct.unpack_from("<H", data, at + (10 if old else 14))
    upwards = old or struct.unpack_from("<i", data, at + 8)[0] > 0
    stride, used = (size[0] * bits + 31) // 32 * 4, (size[0] * bits + 7) // 8
    rows = _within(data, [(offset, size[1])], stride, used, bits, grey=False)
    return check(kind, rows, upwards=upwards) if rows else None


def check_layout(data: bytes, layout: Layout) -> MediaWarning | None:
    """As ``unwritten.check``, for a TIFF page of which each part is within the data."""
    line = layout.line
    if layout.compression != 1 or not line:
        return None
    bits = layout.bits * (1 if layout.planar or layout.subsampled != (1, 1) else layout.samples)
    parts = sorted(
        (offset, needed // line)
        for offset, needed in zip(layout.offsets[: layout.parts], layout.needed, strict=False)
    )
    rows = _within(data, parts, line, line, bits, grey=layout.photometric != PALETTE)
    return check("TIFF", rows) if rows else None


def _within(
    data: bytes, parts: list[tuple[int, int]], stride: int, used: int, bits: int, *, grey: bool = True
) -> Rows | None:
    """``bits``: of a pixel; ``grey``: one byte is a level. ``None`` if the data lack rows: decoding says so."""
    if used <= 0 or any(at < 0 or at + (rows - 1) * stride + used > len(data) for at, rows in parts if rows):
        return None
    levels = bits > 8 or (bits == 8 and grey)
    return Rows(data, [part for part in parts if part[1]], stride, used, max(1, bits // 8), levels)
