"""HEIF/HEIC, by the decoder-only package pi-heif (extra ``heif``).

libheif turns and mirrors the image as the container says (irot, imir). EXIF's orientation is informative in HEIF and
is not applied, so nothing is turned twice.
"""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from tasks.images import limits
from tasks.images.box_items import branded, colour_item, exif_item
from tasks.images.colour import Profile
from tasks.images.errors import check_size, translated
from tasks.images.samples import to_rgb
from tasks.images.source import Source
from tasks.images.structure import exif_structure

_PIXEL, _SMALL_PIXEL = 13, 7  # bytes: planes and packed RGB, and two images
_BAND = 2**20  # pixels
BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})


def opened(data: bytes, max_pixels: int, near: int | None = None) -> Source:
    """The primary image. ``near``: see ``tasks.images.decode``. Raises a ``BadImage``."""
    import pi_heif  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra without types

    pi_heif.options.DECODE_THREADS = 1
    pi_heif.options.THUMBNAILS = False
    data = branded(data, b"heic", BRANDS)
    try:
        file = pi_heif.HeifFile(io.BytesIO(data), convert_hdr_to_8bit=True, hdr_to_16bit=True, remove_stride=False)
        primary = file[file.primary_index]
    except Exception as exc:  # the library raises several types
        raise translated(exc, "HEIC") from exc
    width, height = primary.size
    check_size(width, height, max_pixels)

    def load() -> Image.Image:
        return _loaded(primary, max_pixels, near, primary.info.get("icc_profile") or colour_item(data))

    small = primary.mode == "RGB" and limits.smaller_by(primary.size, near) > 1
    needs = width * height * (_SMALL_PIXEL if small else _PIXEL)
    return Source("HEIC", width, height, load, exif=exif_structure(exif_item(data)), needs=needs)


def _loaded(primary: Any, max_pixels: int, near: int | None, profile: Profile | None) -> Image.Image:
    pixels = primary.data
    width, height = primary.size
    check_size(width, height, max_pixels)  # the size may differ from the one in the header
    factor = limits.smaller_by(primary.size, near) if primary.mode == "RGB" else 1
    if factor > 1:
        return to_rgb(_reduced(memoryview(pixels), primary.size, primary.stride, factor), profile)
    image = Image.frombytes(primary.mode, primary.size, pixels, "raw", primary.mode, primary.stride)
    return to_rgb(image, profile)


def _reduced(pixels: memoryview, size: tuple[int, int], stride: int, factor: int) -> Image.Image:
    """Packed RGB as an image with sides divided by a number, in bands of rows."""
    width, height = size
    made = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    rows = max(1, _BAND // width // factor) * factor
    for top in range(0, height, rows):
        count = min(rows, height - top)
        part = bytes(pixels[top * stride : (top + count) * stride])
        band = Image.frombytes("RGB", (width, count), part, "raw", "RGB", stride)
        made.paste(band.reduce(factor), (0, top // factor))
    return made
