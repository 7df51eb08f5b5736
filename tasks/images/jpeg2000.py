"""JPEG 2000: with 8 bits by Pillow, with more by imagecodecs (extra ``tiff``); with the profile of its container.

Pillow makes black of white where colours have more than 8 bits, and leaves out the colour profile.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from tasks.images import bitmap
from tasks.images.boxes import boxes
from tasks.images.colour import to_srgb
from tasks.images.depth import to_bytes
from tasks.images.errors import DamagedImage, UnsupportedImage, check_size, translated
from tasks.images.source import Source
from tasks.images.transparency import flattened

_SIZE = b"\xff\x4f\xff\x51"
_RESTRICTED, _ANY = 2, 3  # how a profile is given
_KNOWN = {0, 16, 17}  # not told, sRGB, grey


@dataclass(frozen=True)
class _Header:
    """``bits``: of the deepest component. ``plain``: whether the components are unsigned, alike and whole."""

    width: int
    height: int
    components: int
    bits: int
    plain: bool


def opened(data: bytes, max_pixels: int) -> Source:
    """Raises a ``BadImage``."""
    profile, space, palette = _described(data)
    header = _header(data)
    if header is None or palette or header.bits <= 8 or header.bits > 16:
        return bitmap.opened_other(data, "JPEG2000", max_pixels, profile)
    check_size(header.width, header.height, max_pixels)
    if header.components == 1 and (not _has_codecs() or not header.plain):
        return bitmap.opened_other(data, "JPEG2000", max_pixels, profile)
    name = f"JPEG 2000 with {header.bits} bits per sample"
    if not _has_codecs():
        raise UnsupportedImage(f"{name}: pip install 'wildtag[tiff]'")
    if not header.plain or space not in _KNOWN or header.components > 4:
        raise UnsupportedImage(f"{name}, in a colour space or with components that are not read")
    return Source("JPEG 2000", header.width, header.height, lambda: _loaded(data, header, profile))


def _described(data: bytes) -> tuple[bytes | None, int, bool]:
    """The profile, the number of the colour space (0 if none is told), and whether there is a palette."""
    profile, space, palette = None, 0, False
    for kind, begin, end in boxes(data) if not data.startswith(_SIZE) else ():
        for inner, at, until in boxes(data, begin, end) if kind == b"jp2h" else ():
            palette = palette or inner == b"pclr"
            if inner != b"colr" or until - at < 3:
                continue
            if data[at] in {_RESTRICTED, _ANY} and profile is None:
                profile = data[at + 3 : until]
            elif data[at] == 1 and until - at >= 7 and not space:
                (space,) = struct.unpack_from(">I", data, at + 3)
    return profile, space, palette


def _header(data: bytes) -> _Header | None:
    at = data.find(_SIZE)
    if at < 0 or at + 44 > len(data):
        return None
    right, bottom, left, top = struct.unpack_from(">4I", data, at + 8)
    (count,) = struct.unpack_from(">H", data, at + 40)
    parts = data[at + 42 : at + 42 + 3 * count]
    if not count or len(parts) < 3 * count:
        return None
    plain = len(set(parts[::3])) == 1 and parts[0] < 128 and set(parts[1::3]) | set(parts[2::3]) == {1}
    return _Header(right - left, bottom - top, count, max((one & 127) + 1 for one in parts[::3]), plain)


def _has_codecs() -> bool:
    try:
        import imagecodecs  # noqa: F401, PLC0415 - an extra
    except ImportError:
        return False
    return True


def _loaded(data: bytes, header: _Header, profile: bytes | None) -> Image.Image:
    import imagecodecs  # noqa: PLC0415 - an extra

    try:
        array: Any = imagecodecs.jpeg2k_decode(data)
    except Exception as exc:  # its codecs raise their own errors
        raise translated(exc, "JPEG 2000") from exc
    array = array[..., None] if array.ndim == 2 else array
    if array.shape != (header.height, header.width, header.components):
        raise DamagedImage(f"the JPEG 2000 image has the shape {array.shape}, unlike its header")
    channels = 3 if header.components >= 3 else 1
    colours = to_bytes(np.ascontiguousarray(array[..., :channels]), header.bits)
    image = to_srgb(Image.fromarray(colours[..., 0] if channels == 1 else colours), profile)
    if header.components == channels:
        return image
    opacity = np.rint(array[..., -1] / (2**header.bits - 1) * 255).astype(np.uint8)
    return flattened(image, Image.fromarray(opacity))
