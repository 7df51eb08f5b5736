"""Dark pictures of 16 bits are nights, or hold fewer bits than they declare: their values tell which."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tasks.images import decode
from tests.hostile.depths import animated, grey_tiff, png
from tests.hostile.layouts import written
from tests.hostile.metadata import chunk
from tests.hostile.picture import HEIGHT, WIDTH, base, difference, encoded, grey, grey_array, rgb_array

Array = np.ndarray[Any, Any]
OPAQUE = np.full((HEIGHT, WIDTH, 1), 65535, np.uint16)


def ppm(array: Array) -> bytes:
    return b"P6\n%d %d\n65535\n" % (WIDTH, HEIGHT) + array.astype(">u2").tobytes()


COLOUR: dict[str, Callable[[Array], bytes]] = {
    "png": lambda array: png(array, 2),
    "animated.png": lambda array: animated(png(array, 2)),
    "opaque.png": lambda array: png(np.dstack([array, OPAQUE]), 6),
    "tif": lambda array: written(array, photometric="rgb"),
    "ppm": ppm,
    "jp2": lambda array: bytes(imagecodecs.jpeg2k_encode(array, level=0, reversible=True)),
    "jxl": lambda array: bytes(imagecodecs.jpegxl_encode(array, lossless=True)),
}
GREY: dict[str, Callable[[Array], bytes]] = {
    "png": lambda array: encoded(Image.fromarray(array), "PNG"),
    "tif": grey_tiff,
    "jp2": lambda array: encoded(Image.fromarray(array), "JPEG2000"),
}
MADE = [(make, base, rgb_array()) for make in COLOUR.values()] + [
    (make, grey, grey_array()) for make in GREY.values()
]
NAMES = [*COLOUR, *(f"grey.{name}" for name in GREY)]


@pytest.mark.parametrize(("make", "shown", "eight"), MADE, ids=NAMES)
@pytest.mark.parametrize("share", [0.24, 0.2, 0.12, 0.08])
def test_a_night_stays_dark(make: Any, shown: Any, eight: Array, share: float) -> None:
    night = np.rint(eight * (257 * share)).astype(np.uint16)
    assert difference(decode(make(night)), shown().point(lambda level: round(level * share))) <= 1


@pytest.mark.parametrize(("make", "shown", "eight"), MADE, ids=NAMES)
def test_a_night_of_8_bits_stays_as_dark_as_it_is(make: Any, shown: Any, eight: Array) -> None:
    for factor in (257, 256):
        night = (eight // 20).astype(np.uint16) * factor
        assert difference(decode(make(night)), shown().point(lambda level: level // 20)) <= (
            1 if make is not COLOUR["animated.png"] else 90  # its lower bits are not read
        )


@pytest.mark.parametrize(("make", "shown", "eight"), MADE, ids=NAMES)
@pytest.mark.parametrize(("bits", "exposed"), [(10, 1.0), (12, 1.0), (12, 0.8), (12, 0.6), (14, 1.0)])
def test_fewer_bits_of_a_sensor(make: Any, shown: Any, eight: Array, bits: int, exposed: float) -> None:
    values = np.rint(eight / 255 * exposed * (2**bits - 1)).astype(np.uint16)
    looks = shown().point(lambda level: round(level * exposed))
    assert difference(decode(make(values)), looks) <= (40 if make is COLOUR["animated.png"] and bits == 10 else 9)


@pytest.mark.parametrize(("make", "shown", "eight"), MADE, ids=NAMES)
def test_8_bits_in_the_place_of_12(make: Any, shown: Any, eight: Array) -> None:
    values = eight.astype(np.uint16) * 16
    assert difference(decode(make(values)), shown()) <= (40 if make is COLOUR["animated.png"] else 1)


def test_bits_that_a_png_tells() -> None:
    def told(array: Array, bits: int) -> bytes:
        colours = 1 if array.ndim == 2 else 3
        data = png(array.reshape(HEIGHT, WIDTH, colours), 0 if colours == 1 else 2)
        at = data.index(b"IDAT") - 4
        return data[:at] + chunk(b"sBIT", struct.pack("B", bits) * colours) + data[at:]

    for eight, shown in ((rgb_array(), base()), (grey_array(), grey())):
        night = np.rint(eight * 51.4).astype(np.uint16)
        dark = shown.point(lambda level: round(level * 0.2))
        assert difference(decode(told(night, 16)), dark) <= 1
        assert difference(decode(told(night, 12)), dark) <= 1  # scaled to 16 bits, as the standard demands
        half = np.rint(eight / 255 * 8191).astype(np.uint16)
        assert difference(decode(told(half, 14)), shown.point(lambda level: level // 2)) <= 1
        assert difference(decode(told(half // 16, 16)), shown.point(lambda level: level // 128)) <= 1


def test_heat_is_still_stretched() -> None:
    for begin, step in ((30_000, 4), (8000, 8), (6000, 20)):
        heat = (begin + grey_array().astype(np.uint16) * step).astype(np.uint16)
        for make in GREY.values():
            assert difference(decode(make(heat)), grey()) <= 1
