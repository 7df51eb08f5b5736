"""Made files of PPM and JPEG 2000 with more and with less than 8 bits."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image

from tests.hostile.picture import HEIGHT, WIDTH, Case, base, grey, grey_array, rgb_array

TWELVE = np.rint(rgb_array() / 255 * 4095).astype(np.uint16)
GREY_TWELVE = np.rint(grey_array() / 255 * 4095).astype(np.uint16)


def cases() -> Iterator[Case]:
    yield from _ppm_of_16_bits()
    yield from _jpeg2000()


def _ppm_of_16_bits() -> Iterator[Case]:
    def words(kind: int, array: np.ndarray[Any, Any], top: int) -> bytes:
        text = b" ".join(b"%d" % value for value in array.reshape(-1))
        return b"P%d\n%d %d\n%d\n" % (kind, WIDTH, HEIGHT, top) + text

    def binary(kind: int, array: np.ndarray[Any, Any], top: int) -> bytes:
        return b"P%d\n%d %d #c\n%d\n" % (kind, WIDTH, HEIGHT, top) + array.astype(">u2").tobytes()

    for name, make, colour, plain in (("words", words, 3, 2), ("binary", binary, 6, 5)):
        yield Case(f"rgb-12-of-16-{name}.ppm", partial(make, colour, TWELVE, 65535), looks=base)
        yield Case(f"grey-12-of-16-{name}.ppm", partial(make, plain, GREY_TWELVE, 65535), looks=grey)
        yield Case(f"rgb-12-{name}.ppm", partial(make, colour, TWELVE, 4095), looks=base)
        dark = partial(make, colour, TWELVE // 8, 4095)
        yield Case(f"rgb-12-dark-{name}.ppm", dark, looks=lambda: base().point(lambda v: v // 8))
        grey_dark = partial(make, plain, GREY_TWELVE // 8, 4095)
        yield Case(f"grey-12-dark-{name}.ppm", grey_dark, looks=lambda: grey().point(lambda v: v // 8))
    cut = binary(6, TWELVE, 4095)[:-100]
    yield Case("rgb-12-cut.ppm", lambda: cut, "truncated", says="50 of")


def jp2(array: np.ndarray[Any, Any], colour: bytes = b"", **options: Any) -> bytes:
    """A lossless JPEG 2000. ``colour``: the body of its box ``colr``, in place of the one that says sRGB or grey."""
    data = bytes(imagecodecs.jpeg2k_encode(array, codecformat="jp2", reversible=True, mct=False, **options))
    if not colour:
        return data
    begin = data.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", data, begin)
    at = data.index(b"colr") - 4
    other = struct.pack(">I", 8 + len(colour)) + b"colr" + colour
    inside = data[begin + 8 : at] + other + data[at + 15 : begin + size]
    return data[:begin] + struct.pack(">I", 8 + len(inside)) + b"jp2h" + inside + data[begin + size :]


def named_space(number: int) -> bytes:
    return struct.pack(">BBBI", 1, 0, 0, number)


def _jpeg2000() -> Iterator[Case]:
    deep: dict[str, Any] = {"needs": "imagecodecs"}
    opaque = np.full((HEIGHT, WIDTH, 1), 65535, np.uint16)
    yield Case("rgb-16.jp2", lambda: jp2(rgb_array().astype(np.uint16) * 257), looks=base, **deep)
    yield Case("rgb-12-of-16.jp2", lambda: jp2(TWELVE), looks=base, **deep)
    yield Case("rgb-12.jp2", lambda: jp2(TWELVE, bitspersample=12), looks=base, **deep)
    yield Case("rgba-12-of-16.jp2", lambda: jp2(np.dstack([TWELVE, opaque])), looks=base, **deep)
    yield Case("grey-and-opacity-12-of-16.jp2", lambda: jp2(np.dstack([GREY_TWELVE, opaque])), looks=grey, **deep)
    cmyk = np.asarray(base().convert("CMYK"))
    yield Case("cmyk-8.jp2", lambda: jp2(cmyk, named_space(12)), looks=base)
    wide = cmyk.astype(np.uint16) * 257
    yield Case("cmyk-16.jp2", lambda: jp2(wide, named_space(12)), looks=base, **deep)
    ycc = np.asarray(base().convert("YCbCr"))
    yield Case("sycc-8.jp2", lambda: jp2(ycc, named_space(18)), looks=base, within=2)
    wide_ycc = ycc.astype(np.uint16) * 257
    yield Case("sycc-16.jp2", lambda: jp2(wide_ycc, named_space(18)), looks=base, within=2, **deep)
    yield Case("lab.jp2", lambda: jp2(ycc, named_space(14)), "unsupported", says="CIELab")
    for bits in (1, 4):
        values = grey_array() >> (8 - bits)
        top = 2**bits - 1
        shown = Image.fromarray(np.rint(values / top * 255).astype(np.uint8))
        yield Case(
            f"grey-{bits}-bits.jp2", partial(jp2, values, bitspersample=bits), looks=partial(shown.convert, "RGB")
        )
