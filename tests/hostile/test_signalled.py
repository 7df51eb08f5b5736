"""Colour spaces are applied however a container tells them: by numbers, by chromaticities, or by a profile."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tasks.images import decode, jxl
from tasks.images.box_items import colour_item
from tasks.images.jxl_header import header_of
from tasks.images.signalled import P3, SRGB, Signalled, of_chromaticities, of_codes, to_xyz
from tests.hostile import heic
from tests.hostile.depths import png
from tests.hostile.metadata import chunk
from tests.hostile.picture import base, bgr, difference, encoded, grey, rgb_array, swapped_profile

LIGHT = np.where(
    rgb_array() / 255 <= 0.04045, rgb_array() / 255 / 12.92, ((rgb_array() / 255 + 0.055) / 1.055) ** 2.4
)


def in_p3() -> Any:
    """The base picture with the primaries of Display P3, 0 to 1."""
    to_p3 = np.linalg.solve(to_xyz(P3), to_xyz(SRGB))  # type: ignore[arg-type] # both are there
    linear = np.clip(LIGHT @ to_p3.T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def in_pq(white: float = 203.0) -> Any:
    """The base picture as BT.2100 with PQ, its white at so many cd/m²."""
    to_2020 = np.linalg.inv([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
    light = (np.clip(LIGHT @ to_2020.T, 0, 1) * white / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * light) / (1 + 18.6875 * light)) ** 78.84375


def whole(values: Any, top: int) -> Any:
    return np.rint(values * top).astype(np.uint8 if top == 255 else np.uint16)


def chromaticities(numbers: tuple[float, ...]) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(one * 100_000) for one in numbers)))


def gamma(value: int) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", value))


SWAPPED = (*SRGB[:2], *SRGB[6:], *SRGB[4:6], *SRGB[2:4])


@pytest.mark.parametrize(
    ("array", "extra", "within"),
    [
        (whole(LIGHT, 65535), gamma(100_000), 2),
        (whole(LIGHT, 255), gamma(100_000), 3),
        (rgb_array(), gamma(45_455), 0),
        (rgb_array(), gamma(45_455) + chromaticities(SRGB), 0),
        (rgb_array(), gamma(0) + chromaticities((0.3,) * 8), 0),
        (rgb_array(), gamma(100_000) + chunk(b"sRGB", b"\0"), 0),
        (rgb_array(), chunk(b"gAMA", struct.pack(">I", 100_000), 1), 0),
        (rgb_array()[..., ::-1], chromaticities(SWAPPED), 3),
        (whole(in_p3(), 255), chunk(b"cICP", bytes([12, 13, 0, 1])), 2),
        (whole(in_pq(), 65535), chunk(b"cICP", bytes([9, 16, 0, 1])) + gamma(100_000), 14),
        (rgb_array(), chunk(b"cICP", bytes([1, 13, 0, 1])) + gamma(100_000), 0),
        (rgb_array(), chunk(b"cICP", bytes([2, 2, 0, 1])), 0),
    ],
)
def test_png(array: Any, extra: bytes, within: float) -> None:
    made = png(array, 2, 8 * array.dtype.itemsize, extra)
    assert difference(decode(made), base()) <= within


def test_grey_png_with_a_gamma() -> None:
    light = np.where(np.asarray(grey()) / 255 <= 0.04045, 0, ((np.asarray(grey()) / 255 + 0.055) / 1.055) ** 2.4)
    assert difference(decode(png(whole(light[..., :1], 65535), 0, 16, gamma(100_000))), grey()) <= 2


@pytest.mark.parametrize(
    ("bits", "codes", "within"), [(10, (9, 16, 9), 14), (8, (9, 16, 9), 14), (8, (12, 13, 6), 4)]
)
def test_avif(bits: int, codes: tuple[int, int, int], within: float) -> None:
    primaries, transfer, matrix = codes
    array = whole(in_pq() if transfer == 16 else in_p3(), 2**bits - 1)
    encode: Any = imagecodecs.avif_encode
    made = encode(
        array, level=98, bitspersample=bits, pixelformat="444", primaries=primaries, transfer=transfer, matrix=matrix
    )
    assert difference(decode(made), base()) <= within


def boxed(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), name) + body


def test_profile_of_jpeg_2000() -> None:
    data = encoded(bgr(), "JPEG2000")
    begin = data.index(b"jp2h") - 4
    (length,) = struct.unpack_from(">I", data, begin)
    kept = data[begin + 8 : data.index(b"colr") - 4]
    header = boxed(b"jp2h", kept + boxed(b"colr", b"\2\0\0" + swapped_profile()))
    assert difference(decode(data[:begin] + header + data[begin + length :]), base()) <= 4
    assert difference(decode(data), bgr()) <= 1


def test_profile_of_bmp() -> None:
    rows = base().transpose(Image.Transpose.FLIP_TOP_BOTTOM).tobytes()  # as BGR in the file: red and blue are swapped
    profile = swapped_profile()
    about = struct.pack("<IiiHHIIiiII", 124, *base().size, 1, 24, 0, len(rows), 2835, 2835, 0, 0)
    about += bytes(16) + b"DEBM" + bytes(48) + struct.pack("<IIII", 4, 124 + len(rows), len(profile), 0)
    data = b"BM" + struct.pack("<IHHI", 138 + len(rows) + len(profile), 0, 0, 138) + about + rows + profile
    assert difference(decode(data), base()) <= 4


def test_heif() -> None:
    data = heic.PLAIN
    at = data.index(b"nclx") + 4
    assert colour_item(data) is None
    told = data[:at] + struct.pack(">HH", 9, 16) + data[at + 4 :]
    assert colour_item(told) == of_codes(9, 16)
    for length in range(0, len(told), 7):
        colour_item(told[:length])  # raises nothing


def test_jpeg_xl_made_of_a_jpeg() -> None:
    encode: Any = imagecodecs.jpegxl_encode_jpeg
    made = encode(encoded(bgr(), "JPEG", quality=97, subsampling=0, icc_profile=swapped_profile()))
    assert difference(decode(made), base()) <= 4


def bits(*fields: tuple[int, int]) -> bytes:
    """A codestream's header from values and their numbers of bits."""
    value = at = 0
    for number, count in fields:
        value |= number << at
        at += count
    return b"\xff\x0a" + value.to_bytes(40, "little")


@pytest.mark.parametrize(
    ("primaries", "curve", "looks"),
    [
        (11, 13, of_codes(12, 13)),  # Display P3
        (9, 16, of_codes(9, 16)),  # BT.2100, PQ
        (1, 13, None),
        (1, 8, None),  # what imagecodecs says of all that has more than 8 bits
    ],
)
def test_header_of_jpeg_xl(primaries: int, curve: int, looks: Signalled | None) -> None:
    def enum(value: int) -> tuple[tuple[int, int], ...]:
        return ((value, 2),) if value < 2 else ((2, 2), (value - 2, 4))

    start = ((1, 1), (9, 5), (0, 3), (14, 5), (0, 1))  # 120 x 80, not all default
    extra = ((1, 1), (5, 3), (0, 1), (0, 1), (1, 1), (0, 2), (0, 2), (0, 2), (0, 1))  # turned and animated
    depth = ((0, 1), (1, 2), (0, 1), (0, 2), (1, 1))  # 10 bits, no further channel, XYB
    colours = ((0, 1), (0, 1), *enum(0), *enum(1), *enum(primaries), (0, 1), *enum(curve))
    header = header_of(bits(*start, *extra, *depth, *colours))
    assert (header.width, header.height, header.turned, header.bits, header.animated) == (120, 80, 6, 10, True)
    assert header.colours == looks


def test_numbers_of_jpeg_xl_are_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    encode: Any = imagecodecs.jpegxl_encode
    pixels = whole(in_p3(), 255)
    opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    monkeypatch.setattr(jxl, "header_of", lambda data: replace(header_of(data), colours=of_codes(12, 13)))
    for array in (pixels, np.dstack([pixels, opaque]), np.stack([pixels * 0, pixels])):
        assert difference(decode(encode(array, lossless=True, photometric="rgb")), base()) <= 2


def test_animated_jpeg_xl_that_begins_blank() -> None:
    encode: Any = imagecodecs.jpegxl_encode
    frames = np.stack([rgb_array() * 0, rgb_array() * 0 + 9, rgb_array(), rgb_array()[::-1]])
    assert difference(decode(encode(frames, lossless=True, photometric="rgb")), base()) == 0
    blank = encode(frames[:2], lossless=True, photometric="rgb")
    assert difference(decode(blank), Image.new("RGB", base().size)) == 0


def test_declared_bits_of_jpeg_xl() -> None:
    encode: Any = imagecodecs.jpegxl_encode
    for count in (10, 12):
        dark = whole(rgb_array() / 255 * 0.2, 2**count - 1)
        expected = Image.fromarray(whole(rgb_array() / 255 * 0.2, 255))
        assert difference(decode(encode(dark, lossless=True, bitspersample=count)), expected) <= 1


def test_chromaticities_without_sense_are_passed_over() -> None:
    for values in ((0.0,) * 8, (0.3, 0.0, *SRGB[2:]), (5.0, *SRGB[1:])):
        assert of_chromaticities(values, None) is None
    assert of_chromaticities(None, 100.0) is None
