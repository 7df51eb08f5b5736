"""Made TIFF files of every layout."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageCms

from tests.hostile import ycbcr
from tests.hostile.depths import WIDE, WIDE_RGB
from tests.hostile.picture import HEIGHT, WIDTH, Case, base, encoded, grey, grey_array, rgb_array, tiff_structure

OPAQUE = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)


def written(array: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, metadata=None, **options)
    return buffer.getvalue()


def planes(array: Any) -> Any:
    return np.ascontiguousarray(array.transpose(2, 0, 1))


def cases() -> Iterator[Case]:
    yield from _samples()
    yield from _compressions()
    yield from _pages()
    yield from _small_depths()
    yield from ycbcr.cases()


def _samples() -> Iterator[Case]:
    rgb, wide = rgb_array(), WIDE_RGB
    rows: dict[str, tuple[Any, dict[str, Any], Any]] = {
        "rgb-8": (rgb, {"photometric": "rgb"}, base),
        "rgb-8-planar": (planes(rgb), {"photometric": "rgb", "planarconfig": "separate"}, base),
        "rgb-8-tiled": (rgb, {"photometric": "rgb", "tile": (32, 32)}, base),
        "rgb-8-planar-tiled": (
            planes(rgb),
            {"photometric": "rgb", "planarconfig": "separate", "tile": (32, 32)},
            base,
        ),
        "rgb-8-strips": (rgb, {"photometric": "rgb", "rowsperstrip": 7}, base),
        "rgb-8-big-endian": (rgb, {"photometric": "rgb", "byteorder": ">"}, base),
        "rgb-8-bigtiff": (rgb, {"photometric": "rgb", "bigtiff": True}, base),
        "grey-16-bigtiff": (WIDE, {"photometric": "minisblack", "bigtiff": True}, grey),
        "grey-16-big-endian": (WIDE, {"photometric": "minisblack", "byteorder": ">"}, grey),
        "grey-16-tiled": (WIDE, {"photometric": "minisblack", "tile": (64, 64)}, grey),
        "grey-and-opacity-8": (
            np.dstack([grey_array(), OPAQUE]),
            {"photometric": "minisblack", "extrasamples": ["unassalpha"]},
            grey,
        ),
    }
    extra: dict[str, tuple[Any, dict[str, Any], Any]] = {
        "rgb-16": (wide, {"photometric": "rgb"}, base),
        "rgb-16-planar": (planes(wide), {"photometric": "rgb", "planarconfig": "separate"}, base),
        "rgb-16-tiled": (wide, {"photometric": "rgb", "tile": (32, 32)}, base),
        "rgb-16-big-endian": (wide, {"photometric": "rgb", "byteorder": ">"}, base),
        "rgb-16-planar-bigtiff": (
            planes(wide),
            {"photometric": "rgb", "planarconfig": "separate", "bigtiff": True},
            base,
        ),
        "rgb-12-of-16": (np.rint(rgb / 255 * 4095).astype(np.uint16), {"photometric": "rgb"}, base),
        "rgb-32": (wide.astype(np.uint32) * 65537, {"photometric": "rgb"}, base),
        "rgb-float": (rgb.astype(np.float32) / 255, {"photometric": "rgb"}, base),
        "rgb-float-planar": (
            planes(rgb.astype(np.float32) / 255),
            {"photometric": "rgb", "planarconfig": "separate"},
            base,
        ),
        "rgb-half": ((rgb / 255).astype(np.float16), {"photometric": "rgb"}, base),
        "rgb-double": (rgb / 255, {"photometric": "rgb"}, base),
        "rgb-signed-16": ((wide.astype(np.int32) - 32768).astype(np.int16), {"photometric": "rgb"}, base),
        "grey-and-opacity-16": (
            np.dstack([WIDE, OPAQUE.astype(np.uint16) * 257]),
            {"photometric": "minisblack", "extrasamples": ["unassalpha"]},
            grey,
        ),
        "rgba-16": (
            np.dstack([wide, OPAQUE.astype(np.uint16) * 257]),
            {"photometric": "rgb", "extrasamples": ["unassalpha"]},
            base,
        ),
        "rgba-16-planar": (
            planes(np.dstack([wide, OPAQUE.astype(np.uint16) * 257])),
            {"photometric": "rgb", "extrasamples": ["unassalpha"], "planarconfig": "separate"},
            base,
        ),
        "rgba-8-planar": (
            planes(np.dstack([rgb, OPAQUE])),
            {"photometric": "rgb", "extrasamples": ["unassalpha"], "planarconfig": "separate"},
            base,
        ),
        "rgb-and-two-more-8": (
            np.dstack([rgb, OPAQUE, OPAQUE]),
            {"photometric": "rgb", "extrasamples": ["unspecified", "unspecified"]},
            base,
        ),
    }
    for name, (array, options, looks) in rows.items():
        yield Case(f"{name}.tif", partial(written, array, **options), looks=looks)
    for name, (array, options, looks) in extra.items():
        yield Case(f"{name}.tif", partial(written, array, **options), looks=looks, needs="imagecodecs")
    cmyk = np.asarray(base().convert("CMYK"))
    yield Case("cmyk-8.tif", partial(written, cmyk, photometric="separated"), looks=base)
    for name, array, options in (
        ("cmyk-16", cmyk.astype(np.uint16) * 257, {}),
        ("cmyk-8-planar", planes(cmyk), {"planarconfig": "separate"}),
        ("cmyk-16-planar", planes(cmyk.astype(np.uint16) * 257), {"planarconfig": "separate"}),
    ):
        yield Case(
            f"{name}.tif",
            partial(written, array, photometric="separated", **options),
            looks=base,
            needs="imagecodecs",
        )
    for name, photometric in (("lab-8", "cielab"), ("icc-lab-8", "icclab")):
        yield Case(
            f"{name}.tif",
            partial(written, _lab(icc=photometric == "icclab"), photometric=photometric),
            looks=base,
            within=4,
            needs="imagecodecs",
        )
    half = np.dstack([(rgb // 2), np.full((HEIGHT, WIDTH, 1), 128, np.uint8)])
    expected = partial(Image.fromarray, np.clip(rgb // 2 + 127, 0, 255).astype(np.uint8))
    yield Case(
        "rgba-8-premultiplied.tif",
        partial(written, half, photometric="rgb", extrasamples=["assocalpha"]),
        looks=expected,
        within=2,
    )
    wide_half = partial(written, half.astype(np.uint16) * 257, photometric="rgb", extrasamples=["assocalpha"])
    yield Case("rgba-16-premultiplied.tif", wide_half, looks=expected, within=2, needs="imagecodecs")


def _lab(*, icc: bool) -> Any:
    """The base picture in CIE L*a*b* with D50, by LittleCMS."""
    transform = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        "RGB",
        "LAB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    array = np.asarray(ImageCms.applyTransform(base(), transform)).copy()
    if array[..., 1].mean() < 100:  # Pillow shows a and b as signed
        array[..., 1:] ^= 0x80
    if not icc:
        array[..., 1:] ^= 0x80
    return array


def _compressions() -> Iterator[Case]:
    for name in ("lzw", "zlib", "packbits", "zstd", "lzma"):
        compressed = partial(written, rgb_array(), photometric="rgb", compression=name)
        yield Case(f"rgb-8-{name}.tif", compressed, looks=base)
        wide = partial(written, WIDE_RGB, photometric="rgb", compression=name)
        yield Case(f"rgb-16-{name}.tif", wide, looks=base, needs="imagecodecs")
        yield Case(
            f"grey-16-{name}.tif", partial(written, WIDE, photometric="minisblack", compression=name), looks=grey
        )
    for name in ("lzw", "zlib", "zstd"):
        for depth, array, needs in (("8", rgb_array(), ""), ("16", WIDE_RGB, "imagecodecs")):
            make = partial(written, array, photometric="rgb", compression=name, predictor=True)
            yield Case(f"rgb-{depth}-{name}-differences.tif", make, looks=base, needs=needs)
    make = partial(written, rgb_array(), photometric="rgb", compression="packbits", predictor=True)
    yield Case("rgb-8-packbits-differences.tif", make, looks=base, needs="imagecodecs")
    floats = rgb_array().astype(np.float32) / 255
    make = partial(written, floats, photometric="rgb", compression="zlib", predictor=3)
    yield Case("rgb-float-zlib-differences.tif", make, looks=base, needs="imagecodecs")
    yield Case(
        "rgb-8-jpeg.tif", partial(encoded, base(), "TIFF", compression="jpeg", quality=95), looks=base, within=4
    )
    yield Case(
        "grey-8-jpeg.tif",
        partial(encoded, base().convert("L"), "TIFF", compression="jpeg", quality=95),
        looks=grey,
        within=4,
    )
    ycbcr = np.asarray(base().convert("YCbCr"))
    make = partial(written, ycbcr, photometric="ycbcr", compression="jpeg", subsampling=(2, 2))
    yield Case("ycbcr-8-jpeg.tif", make, looks=base, within=9)
    make = partial(
        written, rgb_array(), photometric="rgb", compression="jpeg", tile=(64, 64), compressionargs={"level": 95}
    )
    yield Case("rgb-8-jpeg-tiled.tif", make, looks=base, within=6)
    make = partial(written, rgb_array(), photometric="rgb", compression="webp", compressionargs={"lossless": True})
    yield Case("rgb-8-webp.tif", make, looks=base, needs="imagecodecs")
    for name in ("jpeg2000", "jpegxl", "png", "lerc"):
        make = partial(written, rgb_array(), photometric="rgb", compression=name)
        yield Case(f"rgb-8-{name}.tif", make, looks=base, within=2, needs="imagecodecs")
    one = base().convert("1")
    for name in ("group3", "group4", "tiff_ccitt", "packbits", "tiff_lzw"):
        yield Case(
            f"bilevel-{name}.tif", partial(encoded, one, "TIFF", compression=name), looks=lambda: one.convert("RGB")
        )


def _pages() -> Iterator[Case]:
    def several(*pages: tuple[Any, dict[str, Any]]) -> bytes:
        buffer = io.BytesIO()
        with tifffile.TiffWriter(buffer) as file:
            for array, options in pages:
                file.write(array, metadata=None, **options)
        return buffer.getvalue()

    rgb = {"photometric": "rgb"}
    small = np.ascontiguousarray(rgb_array()[::4, ::4] // 2)
    turned = np.ascontiguousarray(rgb_array()[::-1])
    yield Case("two-pages.tif", lambda: several((rgb_array(), rgb), (turned, rgb)), looks=base)
    reduced = {"photometric": "rgb", "subfiletype": 1}
    yield Case("thumbnail-first.tif", lambda: several((small, reduced), (rgb_array(), rgb)), looks=base)
    yield Case("pyramid.tif", lambda: several((rgb_array(), {**rgb, "subifds": 1}), (small, reduced)), looks=base)
    yield Case(
        "picture-in-sub-directory.tif",
        lambda: several((small, {**reduced, "subifds": 1}), (rgb_array(), rgb)),
        looks=base,
    )
    make = partial(several, (small, {**reduced, "subifds": 1}), (WIDE_RGB, rgb))
    yield Case("wide-picture-in-sub-directory.tif", make, looks=base, needs="imagecodecs")


def _bits(values: Any, bits: int) -> bytes:
    """Rows of values with fewer than 8 bits, or 12, each row filled up to a byte."""
    rows = []
    for row in values:
        text = "".join(f"{int(value):0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        rows.append(int(text, 2).to_bytes(len(text) // 8, "big"))
    return b"".join(rows)


def _small(values: Any, bits: int, photometric: int, more: Any = None, samples: int = 1) -> bytes:
    flat = values.reshape(values.shape[0], -1)
    body = _bits(flat, bits)
    return tiff_structure([{
        256: (4, [WIDTH]), 257: (4, [HEIGHT]), 258: (3, [bits] * samples), 259: (3, [1]), 262: (3, [photometric]),
        273: (4, [8]), 277: (3, [samples]), 278: (4, [HEIGHT]), 279: (4, [len(body)]), **(more or {}),
    }], body)  # fmt: skip


def _small_depths() -> Iterator[Case]:
    for bits, needs in (
        (1, ""),
        (2, ""),
        (4, ""),
        (6, "imagecodecs"),
        (10, "imagecodecs"),
        (12, "imagecodecs"),
        (14, "imagecodecs"),
    ):
        top = 2**bits - 1
        values = np.rint(grey_array() / 255 * top).astype(int)
        shown = partial(_shown, values, top)
        yield Case(f"grey-{bits}-bits.tif", partial(_small, values, bits, 1), looks=shown, needs=needs)
        yield Case(
            f"grey-{bits}-bits-white-is-zero.tif", partial(_small, top - values, bits, 0), looks=shown, needs=needs
        )
    for bits in (4, 12):
        values = np.rint(rgb_array() / 255 * (2**bits - 1)).astype(int)
        expected = partial(Image.fromarray, np.rint(values / (2**bits - 1) * 255).astype(np.uint8))
        yield Case(
            f"rgb-{bits}-bits.tif", partial(_small, values, bits, 2, samples=3), looks=expected, needs="imagecodecs"
        )
    for bits in (1, 2, 4, 8):
        paletted = base().quantize(2**bits)
        colours = np.array((paletted.getpalette() or [])[: 3 * 2**bits]).reshape(-1, 3)
        colours = np.vstack([colours, np.zeros((2**bits - len(colours), 3), int)])
        for name, scale in (("", 257), ("-of-bytes", 1)):
            table = {320: (3, [int(v) * scale for v in colours.T.reshape(-1)])}
            make = partial(_small, np.asarray(paletted), bits, 3, table)
            looks = partial(paletted.convert, "RGB")
            yield Case(f"palette-{bits}-bits{name}.tif", make, looks=looks)


def _shown(values: Any, top: int) -> Image.Image:
    return Image.fromarray(np.rint(values / top * 255).astype(np.uint8)).convert("RGB")
