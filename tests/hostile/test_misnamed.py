"""Files whose header names one thing and whose pixels are another: what is there decides."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from tasks.images import decode
from tests.hostile import heic
from tests.hostile.picture import HEIGHT, base, difference, encoded
from tests.hostile.test_short import tiff

YCBCR = encoded(base(), "JPEG", quality=97, subsampling=0)
LETTERS = encoded(base(), "JPEG", quality=97, keep_rgb=True)


def bare(data: bytes) -> bytes:
    """A JPEG without its first segment, which names its colours."""
    return data[:2] + data[4 + struct.unpack_from(">H", data, 4)[0] :]


def numbered(data: bytes) -> bytes:
    """A JPEG whose components have the numbers 1 to 3, in place of letters."""
    made = bytearray(data)
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    for at in range(3):
        made[frame + 10 + 3 * at] = made[scan + 5 + 2 * at] = at + 1
    return bytes(made)


def adobe(data: bytes, transform: int) -> bytes:
    return data[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform]) + data[2:]


NAMED = {
    "jfif": YCBCR, "adobe-ycbcr": adobe(bare(YCBCR), 1), "letters": bare(LETTERS), "adobe-and-letters": LETTERS,
    "adobe-rgb": adobe(numbered(bare(LETTERS)), 0),
}  # fmt: skip


@pytest.mark.parametrize("data", NAMED.values(), ids=NAMED)
@pytest.mark.parametrize("photometric", [2, 6])
def test_jpeg_in_tiff_whose_tag_contradicts_it(photometric: int, data: bytes) -> None:
    shared: dict[int, Any] = {530: (3, [1, 1])} if photometric == 6 else {}
    assert difference(decode(tiff([data], HEIGHT, 7, {262: (3, [photometric]), **shared})), base()) <= 2


def test_jpeg_in_tiff_that_shares_colours_is_no_rgb() -> None:
    for data in (encoded(base(), "JPEG", quality=97), bare(encoded(base(), "JPEG", quality=97))):
        assert difference(decode(tiff([data], HEIGHT, 7)), base()) <= 5


def test_jpeg_in_tiff_that_says_nothing_is_what_the_tag_says() -> None:
    ycbcr = {262: (3, [6]), 530: (3, [1, 1])}
    assert difference(decode(tiff([bare(YCBCR)], HEIGHT, 7, ycbcr)), base()) <= 2
    assert difference(decode(tiff([numbered(bare(LETTERS))], HEIGHT, 7)), base()) <= 2


@pytest.mark.parametrize("major", [b"avif", b"avis", b"avio", b"heic", b"mif1", b"miaf", b"MA1B"])
@pytest.mark.parametrize("minor", [b"avif", b"mif1", b"miaf", b"heic"])
def test_brands_that_are_not_those_of_the_pixels(major: bytes, minor: bytes) -> None:
    for data, within in ((encoded(base(), "AVIF", quality=95), 5), (heic.PLAIN, 5)):
        (size,) = struct.unpack_from(">I", data)
        brands = b"ftyp" + major + bytes(4) + minor * ((size - 16) // 4)
        assert difference(decode(data[:4] + brands + data[size:]), base()) <= within


@pytest.mark.parametrize("bits", [8, 16])
def test_lab_whose_colours_are_called_signed(bits: int) -> None:
    srgb, space = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    transform = ImageCms.buildTransform(srgb, space, "RGB", "LAB")
    made = ImageCms.applyTransform(base(), transform)
    assert isinstance(made, Image.Image)
    lab = np.asarray(made)
    if bits == 16:
        chroma = (lab[..., 1:].view(np.int8).astype(np.int16) * 256).view(np.uint16)
        lab = np.dstack([lab[..., 0].astype(np.uint16) * 257, chroma])
    for kinds in ([1, 1, 1], [1, 2, 2]):
        more = {258: (3, [bits] * 3), 262: (3, [8]), 339: (3, kinds)}
        assert difference(decode(tiff([lab.tobytes()], HEIGHT, 1, more)), base()) <= 2
