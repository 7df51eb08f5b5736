"""Orientation: turns stored pixels upright, as EXIF says.

The tag is read from the bytes of the first directory on its own, so malformed values beside it do not matter. In
AVIF, HEIF and JPEG XL the container turns the image, the decoders apply that, and EXIF's value is informative only
(ISO/IEC 23000-22, 18181-2): it is never applied there, so nothing is turned twice.
"""

from __future__ import annotations

import re

from PIL import Image

from tasks.images.structure import ORIENTATION, Structure

_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
_XMP = re.compile(rb"tiff:Orientation(?:\s*=\s*[\"']|>)\s*([1-8])\b")


def orientation(structure: Structure | None, xmp: bytes | str | None = None) -> int:
    """The orientation, 1 to 8: from the first directory, else from XMP, else 1."""
    if structure is not None and (first := structure.directory(structure.first)):
        value = structure.integer(first, ORIENTATION, 0)
        if 1 <= value <= 8:
            return value
    if xmp:
        raw = xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp
        if found := _XMP.search(raw[:1_000_000]):
            return int(found.group(1))
    return 1


def upright(image: Image.Image, value: int) -> Image.Image:
    """The image turned from an orientation, 1 to 8."""
    return image.transpose(_TRANSPOSES[value]) if value in _TRANSPOSES else image


def swaps(value: int) -> bool:
    """Whether this orientation swaps width and height."""
    return value >= 5
