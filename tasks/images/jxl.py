"""JPEG XL, by imagecodecs (extra ``jxl``). libjxl turns the image as its header says; EXIF's value is not applied."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tasks.images.box_items import MOST_EXIF, exif_payload
from tasks.images.boxes import boxes
from tasks.images.depth import to_bytes
from tasks.images.errors import DamagedImage, TruncatedImage, check_size
from tasks.images.source import Source
from tasks.images.structure import exif_structure
from tasks.images.transparency import flattened

_CONTAINER = b"\0\0\0\x0cJXL "
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


def opened(data: bytes, max_pixels: int) -> Source:
    """The image, with its size from the header of the codestream. Raises a ``BadImage``."""
    codestream, exif = data, None
    if data.startswith(_CONTAINER):
        parts: list[bytes] = []
        for kind, begin, end in boxes(data):
            if kind == b"jxlc":
                parts.append(data[begin:end])
            elif kind == b"jxlp":
                parts.append(data[begin + 4 : end])
            elif kind == b"Exif":
                exif = exif_payload(data[begin:end])
            elif kind == b"brob" and data[begin : begin + 4] == b"Exif":
                exif = exif_payload(_unpacked(data[begin + 4 : end]))
        codestream = b"".join(parts)
    width, height, turned = _header(codestream[:32])
    check_size(width, height, max_pixels)
    if turned >= 5:
        width, height = height, width
    return Source("JPEG XL", width, height, lambda: _loaded(data), exif=exif_structure(exif))


def _unpacked(packed: bytes) -> bytes:
    """A box that is packed by Brotli, as cjxl does; empty if it cannot be read or is larger than EXIF can be."""
    import imagecodecs  # noqa: PLC0415 - an extra

    try:
        return bytes(imagecodecs.brotli_decode(packed, out=MOST_EXIF))
    except Exception:  # the library raises several types; the pixels are valid without it
        return b""


def _loaded(data: bytes) -> Image.Image:
    import imagecodecs  # noqa: PLC0415 - an extra

    try:
        array = imagecodecs.jpegxl_decode(data, index=0, numthreads=1)
    except Exception as exc:  # its errors tell little; a stream that ends early is the most frequent
        if "NEED_MORE_INPUT" in str(exc):
            raise TruncatedImage("the JPEG XL image is truncated") from exc
        raise DamagedImage(f"the JPEG XL image cannot be decoded: {exc}") from exc
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4:
        raise DamagedImage(f"the JPEG XL image has the shape {array.shape}")
    channels = array.shape[2]
    colours = to_bytes(np.ascontiguousarray(array[..., : 3 if channels >= 3 else 1]))
    image = Image.fromarray(colours[..., 0] if colours.shape[2] == 1 else colours).convert("RGB")
    if channels in {1, 3}:
        return image
    opacity = array[..., -1]
    top = 1.0 if opacity.dtype.kind == "f" else float(np.iinfo(opacity.dtype).max)
    alpha = np.rint(np.clip(opacity.astype(np.float64) / top, 0, 1) * 255).astype(np.uint8)
    return flattened(image, Image.fromarray(alpha))


def _header(codestream: bytes) -> tuple[int, int, int]:
    """Width and height as stored, and the orientation (ISO/IEC 18181-1, SizeHeader and ImageMetadata)."""
    if codestream[:2] != b"\xff\x0a" or len(codestream) < 4:
        raise TruncatedImage("the JPEG XL image is truncated: it has no header")
    bits = _Bits(codestream[2:])
    small = bits.take(1)
    height = (bits.take(5) + 1) * 8 if small else bits.u32()
    ratio = bits.take(3)
    if ratio:
        above, below = _RATIOS[ratio]
        width = height * above // below
    else:
        width = (bits.take(5) + 1) * 8 if small else bits.u32()
    turned = 1
    if not bits.take(1) and bits.take(1):  # not all default, and with extra fields
        turned = bits.take(3) + 1
    return width, height, turned


class _Bits:
    """Bits from the least significant one of each byte."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._value & ((1 << count) - 1)
        self._value >>= count
        return value

    def u32(self) -> int:
        return self.take((9, 13, 18, 30)[self.take(2)]) + 1
