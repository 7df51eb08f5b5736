"""Opacity in the range and in the form that a file has it, and chunks of PNG that do not fit their image."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tasks.images import decode
from tests.hostile.depths import animated, png
from tests.hostile.layouts import planes, written
from tests.hostile.metadata import chunk, with_chunk
from tests.hostile.picture import HEIGHT, WIDTH, base, difference, encoded, grey, grey_array, rgb_array, stored
from tests.hostile.wide import jp2

HALF = Image.fromarray(np.rint(rgb_array().astype(float) * 128 / 255 + 127).astype(np.uint8))


def layer(value: float) -> Any:
    return np.full((HEIGHT, WIDTH, 1), value)


def multiplied(opacity: int) -> Any:
    """The base picture times opacity, and opacity, 0 to 255."""
    return np.dstack([rgb_array() * (opacity / 255), layer(opacity)])


@pytest.mark.parametrize("planar", [True, False])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_multiplied_opacity(kind: str, *, planar: bool) -> None:
    for opacity, looks in ((128, HALF), (255, base()), (0, base())):
        array = multiplied(opacity) if opacity else np.dstack([rgb_array(), layer(0)])
        array = np.rint(array * 257) if kind == "uint16" else array / 255 if kind == "float32" else np.rint(array)
        options: dict[str, Any] = {"planarconfig": "separate"} if planar else {}
        ready = array.astype(kind)
        data = written(planes(ready) if planar else ready, photometric="rgb", extrasamples=["assocalpha"], **options)
        assert difference(decode(data), looks) <= 2, opacity


def test_opacity_of_as_few_bits_as_the_colours() -> None:
    for bits in (10, 12):
        values = np.rint(np.dstack([rgb_array(), layer(255)]) / 255 * (2**bits - 1)).astype(np.uint16)
        assert difference(decode(png(values, 6)), base()) <= 1
        upper = 2 ** (16 - bits)  # an animation has the upper 8 bits only
        assert difference(decode(animated(png(values, 6))), base()) <= upper
        encode: Any = imagecodecs.jpegxl_encode
        assert difference(decode(encode(values, lossless=True)), base()) <= 1
        assert difference(decode(jp2(values)), base()) <= 1
        data = written(values, photometric="rgb", extrasamples=["unassalpha"])
        assert difference(decode(data), base()) <= 1


def test_ink_of_16_bits_is_not_brought_to_fewer() -> None:
    ink = np.asarray(base().convert("CMYK")) * 0.2
    looks = Image.frombytes("CMYK", (WIDTH, HEIGHT), np.rint(ink).astype(np.uint8).tobytes()).convert("RGB")
    data = written(np.rint(ink * 257).astype(np.uint16), photometric="separated")
    assert difference(decode(data), looks) <= 2


def test_one_clear_value_of_a_grey_png_with_16_bits() -> None:
    values = grey_array()[..., None].astype(np.uint16) * 257
    black = (values == 0).all(axis=-1, keepdims=True)
    looks = Image.fromarray(np.where(black, 255, np.asarray(grey())).astype(np.uint8))
    assert difference(decode(png(values, 0, 16, chunk(b"tRNS", bytes(2)))), looks) <= 1


@pytest.mark.parametrize("body", [b"", b"\0", bytes(900)])
def test_a_clear_colour_that_does_not_fit(body: bytes) -> None:
    assert difference(decode(with_chunk(chunk(b"tRNS", body))), base()) == 0
    palette = base().quantize(64)
    data = with_chunk(chunk(b"tRNS", body), data=encoded(palette, "PNG"))
    if body != b"\0":  # one entry of the palette may well be clear
        assert difference(decode(data), palette.convert("RGB")) == 0


def test_xmp_that_is_packed() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    for body in (b"\1\0\0\0" + zlib.compress(xmp), b"\0\0\0\0" + xmp, b"\0\0en\0name\0" + xmp):
        data = with_chunk(chunk(b"iTXt", b"XML:com.adobe.xmp\0" + body), data=encoded(stored(6), "PNG"))
        assert difference(decode(data), base()) == 0


def test_a_damaged_animation_does_not_cost_the_picture() -> None:
    data = encoded(base(), "PNG", save_all=True, append_images=[stored(3)], duration=50)
    at = data.index(b"fcTL")
    body = struct.pack(">I", 99) + data[at + 8 : at + 30]  # another number in the sequence
    broken = data[: at - 4] + chunk(b"fcTL", body) + data[at + 34 :]
    assert difference(decode(broken), base()) == 0
