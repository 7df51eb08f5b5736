"""Made files with more than 8 bits, with opacity, and with several frames."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image, ImageDraw

from tests.hostile import wide
from tests.hostile.metadata import chunk
from tests.hostile.picture import HEIGHT, WIDTH, Case, base, encoded, grey, grey_array, rgb_array, tiff_structure

WIDE = grey_array().astype(np.uint16) * 257
WIDE_RGB = rgb_array().astype(np.uint16) * 257


def cases() -> Iterator[Case]:
    yield from _greys()
    yield from _png_of_16_bits()
    yield from wide.cases()
    yield from _opacity()
    yield from _animations()


def grey_tiff(array: np.ndarray[Any, Any], photometric: int = 1, kind: int | None = None) -> bytes:
    kind = kind or {"u": 1, "i": 2, "f": 3}[array.dtype.kind]
    return tiff_structure([{
        256: (4, [array.shape[1]]), 257: (4, [array.shape[0]]), 258: (3, [8 * array.dtype.itemsize]), 259: (3, [1]),
        262: (3, [photometric]), 273: (4, [8]), 277: (3, [1]), 278: (4, [array.shape[0]]), 279: (4, [array.nbytes]),
        339: (3, [kind]),
    }], np.ascontiguousarray(array).tobytes())  # fmt: skip


def _with(array: np.ndarray[Any, Any], value: float, size: int) -> np.ndarray[Any, Any]:
    """A copy with a square of another value in the middle of the picture."""
    made = array.copy()
    made[36 : 36 + size, 56 : 56 + size] = value
    return made


def _greys() -> Iterator[Case]:
    eight = grey_array()
    for bits in (9, 10, 12, 14):
        values = np.rint(eight / 255 * (2**bits - 1)).astype(np.uint16)
        yield Case(f"grey-{bits}-of-16.png", partial(encoded, Image.fromarray(values), "PNG"), looks=grey)
        yield Case(f"grey-{bits}-of-16.tif", partial(grey_tiff, values), looks=grey)
    twelve = np.rint(eight / 255 * 4095).astype(np.uint16)
    yield Case(
        "grey-12-of-16-hot-pixel.png",
        partial(encoded, Image.fromarray(_with(twelve, 65535, 1)), "PNG"),
        looks=grey,
        within=2,
    )
    yield Case("grey-12-of-16-hot-pixels.tif", partial(grey_tiff, _with(twelve, 65535, 3)), looks=grey, within=2)
    yield Case("grey-12-of-16-missing-data.tif", partial(grey_tiff, _with(twelve, 65535, 20)), looks=grey, within=9)
    yield Case("grey-16.png", partial(encoded, Image.fromarray(WIDE), "PNG"), looks=grey)
    yield Case("grey-16.tif", partial(grey_tiff, WIDE), looks=grey)
    dark = (WIDE // 2).astype(np.uint16)
    yield Case(
        "grey-16-half-bright.png",
        partial(encoded, Image.fromarray(dark), "PNG"),
        looks=lambda: grey().point(lambda v: v // 2),
    )
    yield Case("grey-16-white-is-zero.tif", partial(grey_tiff, 65535 - WIDE, 0), looks=grey)
    yield Case("grey-12-of-16-white-is-zero.tif", partial(grey_tiff, 4095 - twelve, 0), looks=grey)
    yield Case("grey-8-white-is-zero.tif", partial(grey_tiff, 255 - eight, 0), looks=grey)
    integers: dict[str, Any] = {
        "signed-16": (WIDE.astype(np.int32) - 32768).astype(np.int16),
        "signed-8": (eight.astype(np.int16) - 128).astype(np.int8),
        "unsigned-32": WIDE.astype(np.uint32) * 65537,
        "double": WIDE.astype(np.float64),
        "half": (eight / 255).astype(np.float16),
    }
    for name, values in integers.items():
        yield Case(f"grey-{name}.tif", partial(grey_tiff, values), looks=grey, needs="imagecodecs", within=2)
    floats = eight.astype(np.float32)
    others: dict[str, Any] = {
        "signed-32": WIDE.astype(np.int32) * 1000 - 5_000_000,
        "float-unit": floats / 255,
        "float": floats * 37 - 1000,
        "float-nan": _with(floats / 255, np.nan, 3),
        "float-inf": _with(floats * 9, np.inf, 3),
        "float-nan-elsewhere": _with(floats * 9 + 100, np.nan, 3),
        "float-hole": _with(floats + 100, -9999, 3),
        "float-gdal": _with(floats * 12, -3.4e38, 3),
        "float-hot-pixel": _with(floats * 12, 1e7, 1),
        "float-huge": _with(floats / 255, 1e38, 1),
    }
    for name, values in others.items():
        yield Case(
            f"grey-{name}.tif",
            partial(grey_tiff, values.astype(np.int32 if "signed" in name else np.float32)),
            looks=grey,
            within=3,
        )
    yield Case(
        "grey-float-large-hole.tif", partial(grey_tiff, _with(floats + 200, -32768, 30)), looks=grey, within=14
    )
    thermal = (30_000 + eight.astype(np.uint16) * 4).astype(np.uint16)
    yield Case("grey-thermal.png", partial(encoded, Image.fromarray(thermal), "PNG"), looks=grey)
    yield Case(
        "grey-16.ppm", lambda: b"P5\n%d %d\n65535\n" % (WIDTH, HEIGHT) + WIDE.astype(">u2").tobytes(), looks=grey
    )
    yield Case(
        "grey-10.ppm",
        lambda: b"P5\n%d %d\n1023\n" % (WIDTH, HEIGHT) + np.rint(eight / 255 * 1023).astype(">u2").tobytes(),
        looks=grey,
    )
    yield Case(
        "rgb-16.ppm", lambda: b"P6\n%d %d\n65535\n" % (WIDTH, HEIGHT) + WIDE_RGB.astype(">u2").tobytes(), looks=base
    )
    yield Case("grey-16.jp2", partial(encoded, Image.fromarray(WIDE), "JPEG2000"), looks=grey)
    yield Case("grey-12-of-16.jp2", partial(encoded, Image.fromarray(twelve), "JPEG2000"), looks=grey)


def png(array: np.ndarray[Any, Any], kind: int, bits: int = 16, extra: bytes = b"") -> bytes:
    """A PNG of samples of shape (height, width, n)."""
    rows = array.astype(">u2" if bits == 16 else np.uint8)
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", array.shape[1], array.shape[0], bits, kind, 0, 0, 0))
        + extra + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")
    )  # fmt: skip


def _png_of_16_bits() -> Iterator[Case]:
    opaque = np.full((HEIGHT, WIDTH, 1), 65535, np.uint16)
    yield Case("rgb-16.png", lambda: png(WIDE_RGB, 2), looks=base)
    yield Case("rgba-16.png", lambda: png(np.dstack([WIDE_RGB, opaque]), 6), looks=base)
    yield Case("grey-and-opacity-16.png", lambda: png(np.dstack([WIDE, opaque]), 4), looks=grey)
    twelve = np.rint(rgb_array() / 255 * 4095).astype(np.uint16)
    yield Case("rgb-12-of-16.png", lambda: png(twelve, 2), looks=base, within=9)
    yield Case("rgba-12-of-16.png", lambda: png(np.dstack([twelve, opaque]), 6), looks=base, within=9)
    yield Case("animated-12-of-16.png", lambda: animated(png(twelve, 2)), looks=base, within=9)


def animated(data: bytes) -> bytes:
    """A PNG as an animation of two frames, which are alike."""
    at, end = data.index(b"IDAT") - 4, data.index(b"IEND") - 4
    pixels = data[at + 8 : end - 4]
    frame = struct.pack(">4I2H2B", WIDTH, HEIGHT, 0, 0, 1, 10, 0, 0)
    return (
        data[:at] + chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", struct.pack(">I", 0) + frame)
        + data[at:end] + chunk(b"fcTL", struct.pack(">I", 1) + frame)
        + chunk(b"fdAT", struct.pack(">I", 2) + pixels) + data[end:]
    )  # fmt: skip


def _layer(image: Image.Image, opacity: int | Image.Image) -> Image.Image:
    made = image.convert("RGBA")
    made.putalpha(opacity)
    return made


def logo(colour: tuple[int, ...], *, hidden: tuple[int, ...] = (0, 0, 0)) -> Image.Image:
    """A disc of one colour on nothing."""
    opacity = Image.new("L", (WIDTH, HEIGHT), 0)
    ImageDraw.Draw(opacity).ellipse([30, 10, 90, 70], fill=255)
    return _layer(
        Image.composite(Image.new("RGB", opacity.size, colour), Image.new("RGB", opacity.size, hidden), opacity),
        opacity,
    )


def on(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    made = Image.new("RGB", image.size, background)
    made.paste(image.convert("RGB"), (0, 0), image.getchannel("A"))
    return made


DARK = (64, 64, 64)


def _opacity() -> Iterator[Case]:
    clear = _layer(base(), 0)
    yield Case("opacity-zero-everywhere.png", partial(encoded, clear, "PNG"), looks=base)
    yield Case("opacity-zero-everywhere.webp", partial(encoded, clear, "WEBP", lossless=True, exact=True), looks=base)
    yield Case("opacity-zero-everywhere.tif", partial(encoded, clear, "TIFF"), looks=base)
    yield Case(
        "opacity-zero-everywhere-16.png",
        lambda: png(np.dstack([WIDE_RGB, np.zeros((HEIGHT, WIDTH, 1), np.uint16)]), 6),
        looks=base,
    )
    yield Case(
        "grey-opacity-zero-everywhere.png",
        lambda: png(np.dstack([grey_array(), np.zeros((HEIGHT, WIDTH, 1), np.uint8)]), 4, 8),
        looks=grey,
    )
    yield Case("opacity-full.png", partial(encoded, _layer(base(), 255), "PNG"), looks=base)
    for name, colour, background in (
        ("white", (255, 255, 255), DARK), ("cream", (255, 250, 225), DARK), ("black", (0, 0, 0), (255, 255, 255)),
        ("red", (200, 20, 20), (255, 255, 255)), ("grey", (128, 128, 128), (255, 255, 255)),
    ):  # fmt: skip
        for kind in ("PNG", "WEBP"):
            options = {"lossless": True} if kind == "WEBP" else {}
            yield Case(
                f"{name}-on-nothing.{kind.lower()}", partial(encoded, logo(colour), kind, **options),
                looks=partial(on, logo(colour), background),
            )  # fmt: skip
    yield Case(
        "white-on-hidden-white.png",
        partial(encoded, logo((255, 255, 255), hidden=(255, 255, 255)), "PNG"),
        looks=partial(on, logo((255, 255, 255)), DARK),
    )
    yield Case(
        "white-on-nothing.gif",
        partial(encoded, logo((255, 255, 255)), "GIF"),
        looks=partial(on, logo((255, 255, 255)), DARK),
        within=1,
    )
    yield Case(
        "half-opaque.png",
        partial(encoded, _layer(base(), 128), "PNG"),
        looks=partial(on, _layer(base(), 128), (255, 255, 255)),
    )
    key = tuple(int(v) for v in rgb_array()[HEIGHT // 2, 0])
    yield Case("one-transparent-colour.png", partial(encoded, base(), "PNG", transparency=key), within=3, looks=base)


def _animations() -> Iterator[Case]:
    blank = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("black", "white", "navy")]
    nothing = Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 0))
    for kind, within, options in (
        ("GIF", 7, {}), ("PNG", 0, {}), ("WEBP", 0, {"lossless": True}), ("AVIF", 4, {"quality": 95}), ("JXL", 0, {}),
    ):  # fmt: skip

        def animated(frames: list[Image.Image], kind: str = kind, options: dict[str, Any] = options) -> bytes:
            if kind == "JXL":
                return bytes(imagecodecs.jpegxl_encode(np.stack([np.asarray(one) for one in frames]), lossless=True))
            return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, **options)

        name, needs = kind.lower(), "imagecodecs" if kind == "JXL" else ""
        yield Case(
            f"begins-black.{name}", partial(animated, [blank[0], base()]), looks=base, within=within, needs=needs
        )
        yield Case(
            f"begins-with-three-blanks.{name}",
            partial(animated, [*blank, base(), blank[0]]),
            looks=base,
            within=within,
            needs=needs,
        )
        turned = base().transpose(Image.Transpose.ROTATE_180)
        yield Case(
            f"begins-with-a-picture.{name}",
            partial(animated, [base(), turned]),
            looks=base,
            within=within,
            needs=needs,
        )
        yield Case(
            f"nothing-but-black.{name}",
            partial(animated, [blank[0], blank[2]]),
            looks=lambda: Image.new("RGB", (WIDTH, HEIGHT)),
            within=2,
            needs=needs,
        )
        if kind != "AVIF":
            yield Case(
                f"begins-with-nothing.{name}",
                partial(animated, [nothing, base().convert("RGBA")]),
                looks=base,
                within=within,
                needs=needs,
            )
