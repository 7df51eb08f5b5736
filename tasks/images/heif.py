"""HEIF/HEIC, by the decoder-only package pi-heif (extra ``heif``).

libheif turns and mirrors the image as the container says (irot, imir). EXIF's orientation is informative in HEIF and
is not applied, so nothing is turned twice.
"""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from tasks.images.box_items import branded, colour_item, exif_item
from tasks.images.colour import Profile
from tasks.images.errors import check_size, translated
from tasks.images.samples import to_rgb
from tasks.images.source import Source
from tasks.images.structure import exif_structure

_PIXEL = 14  # bytes: planes of up to 16 bits, packed RGB, two images
BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})


def opened(data: bytes, max_pixels: int) -> Source:
    """The primary image. Raises a ``BadImage``."""
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
        return _loaded(primary, max_pixels, primary.info.get("icc_profile") or colour_item(data))

    needs = width * height * _PIXEL
    return Source("HEIC", width, height, load, exif=exif_structure(exif_item(data)), needs=needs)


def _loaded(primary: Any, max_pixels: int, profile: Profile | None) -> Image.Image:
    pixels = primary.data
    width, height = primary.size
    check_size(width, height, max_pixels)  # the size may differ from the one in the header
    image = Image.frombytes(primary.mode, primary.size, pixels, "raw", primary.mode, primary.stride)
    return to_rgb(image, profile)
