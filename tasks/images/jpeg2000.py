"""JPEG 2000: what Pillow leaves out of it, which is the colour profile of its header and depths other than 8 bits.

Pillow rounds samples of more than 8 bits up without a limit, so that white becomes black, unless there is one
channel. imagecodecs reads them (extra ``tiff``); without it such a file is refused. Other depths than 8 and 16 bits
are only shifted by Pillow, and are brought to their declared range here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from tasks.images import limits
from tasks.images.boxes import boxes
from tasks.images.colour import to_srgb
from tasks.images.depth import opacity_to_bytes, to_bytes
from tasks.images.errors import DamagedImage, UnsupportedImage, translated
from tasks.images.samples import to_rgb
from tasks.images.transparency import flattened

_STREAM = b"\xff\x4f\xff\x51"  # the markers SOC and SIZ
_COUNT = 40  # offset of the number of components in a codestream; 3 bytes for each follow
_MOST = 4  # components of an image that Pillow opens
_CMYK, _SYCC = 12, 18
# ISO/IEC 15444-1, I.5.3.3, and 15444-2, M.11.7.3: the spaces whose pixels would be taken for RGB
_SPACES = {
    1: "YCbCr (1)", 3: "YCbCr (2)", 4: "YCbCr (3)", 9: "PhotoYCC", 11: "CMY", 13: "YCCK", 14: "CIELab", 19: "CIEJab",
    20: "e-sRGB", 21: "ROMM-RGB", 24: "e-sYCC",
}  # fmt: skip


@dataclass(frozen=True)
class _Header:
    """``bits`` of each component; ``size`` in pixels; ``space``: the number of the colour space, if it is named.

    ``colour``: the offset of the box that holds the profile.
    """

    bits: tuple[int, ...] = ()
    size: tuple[int, int] = (0, 0)
    signed: bool = False
    space: int | None = None
    profile: bytes | None = None
    colour: int = 0


def check(data: bytes) -> None:
    """Raise ``TooComplex`` for too many tiles or components."""
    at = _begin(data)
    if at < 0 or len(data) < at + _COUNT + 2:
        return
    limits.check("JPEG 2000 components", struct.unpack_from(">H", data, at + _COUNT)[0])
    right, bottom, _, _, width, height, left, top = struct.unpack_from(">8I", data, at + 8)
    if width and height:
        limits.check("JPEG 2000 tiles", max(0, -(-(right - left) // width) * -(-(bottom - top) // height)))


def components(data: bytes) -> int:
    """How many there are, of ``_MOST`` at most."""
    return len(_header(data).bits)


def _begin(data: bytes) -> int:
    """The offset of the codestream; -1 without."""
    if data.startswith(_STREAM):
        return 0
    return next((begin for kind, begin, _ in boxes(data) if kind == b"jp2c"), -1)


def loaded(image: Any, data: bytes) -> Image.Image:
    """An image that Pillow has opened from these bytes, as RGB. Raises a ``BadImage``, or what Pillow raises."""
    header = _header(data)
    if header.space in _SPACES:
        raise UnsupportedImage(f"JPEG 2000 with the colour space {_SPACES[header.space]} is not read")
    deepest = max(header.bits, default=8)
    if deepest > 16 or (deepest > 8 and len(header.bits) > 1):
        return _deep(data, header, image.size)
    image.load()
    if deepest < 8 and len(set(header.bits)) == 1 and image.mode in {"L", "LA", "RGB", "RGBA"}:
        top, less = 2**deepest - 1, 8 - deepest
        if not header.signed and header.space != _SYCC:
            image = image.point([round((level >> less) / top * 255) for level in range(256)] * len(header.bits))
    if image.mode == "I;16" and deepest < 16 and not header.signed:
        image = Image.fromarray(to_bytes(np.asarray(image) >> (16 - deepest), deepest))
    if image.mode == "RGBA" and _is_cmyk(header):
        image = Image.merge("CMYK", image.split())
    return to_rgb(image, header.profile)


def _is_cmyk(header: _Header) -> bool:
    return header.space == _CMYK or (header.profile or b"")[16:20] == b"CMYK"


def _deep(data: bytes, header: _Header, size: tuple[int, int]) -> Image.Image:
    count, bits = len(header.bits), header.bits[0]
    what = f"JPEG 2000, {count} × {bits}-bit"
    try:
        import imagecodecs  # noqa: PLC0415 - an extra
    except ImportError as exc:
        raise UnsupportedImage(f"{what}: pip install 'wildtag[tiff]'") from exc
    if header.size != size:
        raise DamagedImage("the JPEG 2000 image has two sizes: that of its header is not that of its pixels")
    if header.profile:  # it would be applied before the range is known
        data = data[: header.colour] + b"free" + data[header.colour + 4 :]
    try:
        array = imagecodecs.jpeg2k_decode(data, numthreads=1)
    except Exception as exc:  # its codecs raise their own errors
        raise translated(exc, "JPEG 2000") from exc
    array = array[..., None] if array.ndim == 2 else array
    clear = count == 2 or (count == 4 and not _is_cmyk(header))
    colours = count - clear
    if array.shape != (size[1], size[0], count) or len(set(header.bits[:colours])) > 1:
        raise UnsupportedImage(f"{what}, of several depths or sizes, is not read")
    scaled = np.ascontiguousarray(to_bytes(array[..., :colours], bits if array.dtype.kind == "u" else None))
    if colours == 4:
        return to_srgb(Image.frombytes("CMYK", size, scaled.tobytes()), header.profile)
    image = to_srgb(Image.fromarray(scaled[..., 0] if colours == 1 else scaled), header.profile)
    if not clear:
        return image
    return flattened(image, Image.fromarray(opacity_to_bytes(array[..., -1], array[..., :colours], header.bits[-1])))


def _header(data: bytes) -> _Header:
    """What a file says before its pixels. What cannot be read is left out."""
    if data.startswith(_STREAM):
        return _Header(*_stream(data, 0))
    space, profile, colour = None, None, 0
    for kind, begin, end in boxes(data):
        if kind == b"jp2h":
            inside = ((at, until) for name, at, until in boxes(data, begin, end) if name == b"colr")
            at, until = next(inside, (0, 0))  # readers ignore later ones
            if until - at >= 7 and data[at] == 1:
                (space,) = struct.unpack_from(">I", data, at + 3)
            elif until - at > 3 and data[at] in {2, 3}:
                profile, colour = data[at + 3 : until], data.rfind(b"colr", 0, at)
        elif kind == b"jp2c":
            return _Header(*_stream(data, begin), space, profile, colour)
    return _Header()


def _stream(data: bytes, at: int) -> tuple[tuple[int, ...], tuple[int, int], bool]:
    """The depth of each component of a codestream, its size, and whether a component is signed."""
    if len(data) < at + _COUNT + 2:
        return (), (0, 0), False
    right, bottom, left, top = struct.unpack_from(">4I", data, at + 8)
    (count,) = struct.unpack_from(">H", data, at + _COUNT)
    raw = data[at + _COUNT + 2 : at + _COUNT + 2 + 3 * min(count, _MOST) : 3]
    return tuple((one & 0x7F) + 1 for one in raw), (right - left, bottom - top), any(one & 0x80 for one in raw)
