"""Made files whose metadata is malformed or matters: orientation, colour profiles, PNG's chunks."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import imagecodecs
import numpy as np

from tests.hostile.picture import (
    Case,
    base,
    bgr,
    encoded,
    exif,
    grey,
    lab_profile,
    srgb_profile,
    stored,
    swapped_profile,
    tiff_structure,
)  # fmt: skip
from tests.hostile.wide import jp2, named_space

NAN = struct.pack("<d", float("nan"))
MALFORMED: dict[str, dict[int, tuple[int, Any]]] = {
    "x-resolution-nan": {282: (12, [float("nan")])},
    "x-resolution-inf": {282: (11, [float("inf")])},
    "x-resolution-zero-denominator": {282: (5, [(72, 0)])},
    "signed-zero-denominator": {282: (10, [(-1, 0)])},
    "unit-is-text": {296: (2, b"inch\0")},
    "unit-is-undefined": {296: (7, b"\xff\xff\xff\xff")},
    "value-behind-the-end": {282: (5, (1, struct.pack("<I", 0x7FFFFFFF)))},
    "absurd-count": {282: (5, (0xFFFFFFFF, struct.pack("<I", 8)))},
    "count-zero": {296: (3, (0, b"\0\0\0\0"))},
    "unknown-type": {296: (99, (1, b"\1\2\3\4"))},
    "type-zero": {296: (0, (1, b"\1\2\3\4"))},
    "make-is-not-text": {271: (2, b"\xff\xfe\xfd\xfc\xfb\xfa\0")},
    "exif-pointer-behind-the-end": {0x8769: (4, [0x7FFFFFF0])},
    "exif-pointer-to-itself": {0x8769: (4, [8])},
    "gps-pointer-is-text": {0x8825: (2, b"here\0")},
    "date-is-a-float": {306: (11, [1.5])},
    "maker-note-is-cut": {0x927C: (7, (100_000, struct.pack("<I", 40)))},
}


def cases() -> Iterator[Case]:
    yield from _orientations()
    yield from _profiles()
    yield from _png_chunks()


def _jpeg(orientation: int, more: Any = None, **options: Any) -> bytes:
    return encoded(stored(orientation), "JPEG", quality=97, subsampling=0, exif=exif(orientation, more, **options))


def _orientations() -> Iterator[Case]:
    for value in range(1, 9):
        yield Case(f"orientation-{value}.jpg", partial(_jpeg, value), looks=base, within=2)
    for name, more in MALFORMED.items():
        yield Case(f"orientation-6-{name}.jpg", partial(_jpeg, 6, more), looks=base, within=2)
        if name in {"x-resolution-nan", "unit-is-text", "absurd-count", "x-resolution-zero-denominator"}:
            yield Case(f"orientation-8-{name}.png", partial(_other, "PNG", 8, more), looks=base)
            yield Case(
                f"orientation-3-{name}.webp", partial(_other, "WEBP", 3, more, lossless=True, exact=True), looks=base
            )
            yield Case(f"orientation-6-{name}.tif", partial(_tiff, 6, more), looks=base)
    yield Case("orientation-big-endian.jpg", partial(_jpeg, 5, None, order=">"), looks=base, within=2)
    yield Case("orientation-is-a-long.jpg", partial(_jpeg, 6, None, kind=4), looks=base, within=2)
    yield Case("orientation-is-a-byte.jpg", partial(_jpeg, 6, None, kind=1), looks=base, within=2)
    for value in (0, 9, 255):
        name = f"orientation-is-{value}.jpg"
        yield Case(name, partial(encoded, base(), "JPEG", quality=97, exif=exif(value)), looks=base, within=4)
    for value in (2, 5, 8):
        yield Case(f"orientation-{value}.tif", partial(_tiff, value, {}), looks=base)
    for value in (6, 7):
        name = f"orientation-{value}.avif"
        yield Case(name, partial(_other, "AVIF", value, {}, quality=95), looks=base, within=4)
    zero = struct.pack("<II", 1, 0)
    for name, kind, malformed in (("nan", 12, NAN), ("zero-denominator", 5, zero), ("type-99", 99, zero)):
        yield Case(f"orientation-6-{name}.avif", partial(_avif, kind, malformed), looks=base, within=4)
    cut = exif(6)[:-10]
    yield Case(
        "exif-is-cut.jpg",
        partial(encoded, stored(6), "JPEG", quality=97, exif=cut),
        looks=lambda: stored(6),
        within=4,
    )
    yield Case(
        "exif-is-noise.jpg",
        partial(encoded, base(), "JPEG", quality=97, exif=b"Exif\0\0" + bytes(range(250))),
        looks=base,
        within=4,
    )
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    yield Case(
        "orientation-in-xmp.jpg", partial(encoded, stored(6), "JPEG", quality=97, xmp=xmp), looks=base, within=4
    )


def _other(kind: str, orientation: int, more: Any, **options: Any) -> bytes:
    return encoded(stored(orientation), kind, exif=exif(orientation, more), **options)


def _avif(kind: int, value: bytes) -> bytes:
    """An AVIF that is turned by irot, with a resolution of another type."""
    data = encoded(stored(6), "AVIF", quality=95, exif=exif(6, {282: (5, [(72, 1)])}))
    for order in "<>":
        begin = data.find(b"II*\0" if order == "<" else b"MM\0*")
        at = data.find(struct.pack(order + "HHI", 282, 5, 1), begin)
        if begin >= 0 and at >= 0:
            (place,) = struct.unpack_from(order + "I", data, at + 8)
            made = data[: at + 2] + struct.pack(order + "H", kind) + data[at + 4 :]
            number = value if order == "<" else value[::-1]
            return made[: begin + place] + number + made[begin + place + 8 :]
    raise AssertionError("the encoder has left EXIF out")


def _tiff(orientation: int, more: Any) -> bytes:
    image = stored(orientation)
    return tiff_structure([{
        256: (4, [image.width]), 257: (4, [image.height]), 258: (3, [8, 8, 8]), 259: (3, [1]), 262: (3, [2]),
        273: (4, [8]), 0x0112: (3, [orientation]), 277: (3, [3]), 278: (4, [image.height]),
        279: (4, [image.width * image.height * 3]), **more,
    }], image.tobytes())  # fmt: skip


def _profiles() -> Iterator[Case]:
    swapped = swapped_profile()
    for kind, options in (
        ("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True}), ("JPEG", {"quality": 97, "subsampling": 0}),
        ("AVIF", {"quality": 95}),
    ):  # fmt: skip
        make = partial(encoded, bgr(), kind, icc_profile=swapped, **options)
        yield Case(f"profile-swaps-red-and-blue.{kind.lower()}", make, looks=base, within=4)
    bgr_array = np.asarray(bgr())
    for method in (2, 3):
        make = partial(jp2, bgr_array, bytes([method, 0, 0]) + swapped)
        yield Case(f"profile-by-method-{method}.jp2", make, looks=base)
    wide = partial(jp2, bgr_array.astype(np.uint16) * 257, b"\2\0\0" + swapped)
    yield Case("profile-16-bits.jp2", wide, looks=base, needs="imagecodecs")
    dark = np.rint(bgr_array / 255 * 4095).astype(np.uint16)
    yield Case("profile-12-of-16.jp2", partial(jp2, dark, b"\2\0\0" + swapped), looks=base, needs="imagecodecs")
    for name, profile in (("noise", bytes(range(99))), ("cut", srgb_profile()[:200])):
        make = partial(jp2, np.asarray(base()), b"\2\0\0" + profile)
        yield Case(f"profile-{name}.jp2", make, looks=base)
    grey_space = partial(jp2, np.asarray(base().convert("L")), named_space(17))
    yield Case("named-grey.jp2", grey_space, looks=grey)
    transcoded = partial(jpeg_in_jxl, encoded(bgr(), "JPEG", quality=97, subsampling=0, icc_profile=swapped))
    yield Case("profile-of-a-transcoded-jpeg.jxl", transcoded, looks=base, within=4, needs="imagecodecs")
    rgba = bgr().convert("RGBA")
    yield Case("profile-and-opacity.png", partial(encoded, rgba, "PNG", icc_profile=swapped), looks=base, within=3)
    palette = partial(encoded, bgr().quantize(256), "PNG", icc_profile=swapped)
    yield Case("profile-and-palette.png", palette, looks=base, within=9)
    yield Case("profile-srgb.png", partial(encoded, base(), "PNG", icc_profile=srgb_profile()), looks=base, within=0)
    for name, profile in (
        ("noise", bytes(range(256)) * 4), ("cut", srgb_profile()[:200]), ("of-lab", lab_profile()),
        ("of-zeros", bytes(500)), ("of-one-byte", b"x"), ("header-only", srgb_profile()[:128]),
    ):  # fmt: skip
        yield Case(f"profile-{name}.png", partial(encoded, base(), "PNG", icc_profile=profile), looks=base)
        make = partial(encoded, base(), "JPEG", quality=97, subsampling=0, icc_profile=profile)
        yield Case(f"profile-{name}.jpg", make, looks=base, within=2)
    yield Case(
        "profile-of-rgb-on-grey.png", partial(encoded, base().convert("L"), "PNG", icc_profile=swapped), looks=grey
    )
    cmyk = base().convert("CMYK")
    for kind in ("JPEG", "TIFF"):
        yield Case(f"cmyk.{kind.lower()}", partial(encoded, cmyk, kind), looks=base, within=5)
        make = partial(encoded, cmyk, kind, icc_profile=swapped)
        yield Case(f"cmyk-with-a-profile-of-rgb.{kind.lower()}", make, looks=base, within=5)


def jpeg_in_jxl(data: bytes) -> bytes:
    return bytes(imagecodecs.jpegxl_encode_jpeg(data, usecontainer=True))


def chunk(name: bytes, body: bytes, checksum: int | None = None) -> bytes:
    value = zlib.crc32(name + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", value)


def with_chunk(extra: bytes, *, before_pixels: bool = True, data: bytes | None = None) -> bytes:
    data = data or encoded(base(), "PNG")
    at = data.index(b"IDAT" if before_pixels else b"IEND") - 4
    return data[:at] + extra + data[at:]


def _png_chunks() -> Iterator[Case]:
    text = zlib.compress(bytes(8_000_000))
    for name, extra in {
        "ztxt-8mb": chunk(b"zTXt", b"Comment\0\0" + text),
        "itxt-8mb": chunk(b"iTXt", b"Comment\0\1\0\0\0" + text),
        "text-3mb": chunk(b"tEXt", b"Comment\0" + b"x" * 3_000_000),
        "ztxt-not-deflated": chunk(b"zTXt", b"Comment\0\0garbage"),
        "text-without-keyword": chunk(b"tEXt", b"x" * 200),
        "iccp-8mb": chunk(b"iCCP", b"p\0\0" + text),
        "iccp-64mb": chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(64_000_000))),
        "iccp-not-deflated": chunk(b"iCCP", b"p\0\0garbage"),
        "iccp-empty": chunk(b"iCCP", b""),
        "text-wrong-checksum": chunk(b"tEXt", b"Comment\0hello", 1),
        "phys-wrong-checksum": chunk(b"pHYs", struct.pack(">IIB", 1, 1, 0), 1),
        "time-wrong-checksum": chunk(b"tIME", bytes(7), 1),
        "gama-wrong-checksum": chunk(b"gAMA", struct.pack(">I", 45455), 1),
        "phys-too-short": chunk(b"pHYs", b"\0"),
        "gama-too-short": chunk(b"gAMA", b""),
        "chrm-too-short": chunk(b"cHRM", b"\1"),
        "exif-wrong-checksum": chunk(b"eXIf", exif(1)[6:], 1),
        "unknown-ancillary": chunk(b"quRk", b"x" * 1000),
    }.items():
        yield Case(f"png-{name}.png", partial(with_chunk, extra), looks=base)
    for name, extra in {
        "exif-behind-the-pixels": chunk(b"eXIf", exif(6)[6:]),
        "text-behind-the-pixels": chunk(b"zTXt", b"C\0\0" + text),
    }.items():  # fmt: skip
        image = stored(6) if "exif" in name else base()
        make = partial(with_chunk, extra, before_pixels=False, data=encoded(image, "PNG"))
        yield Case(f"png-{name}.png", make, looks=base)
    whole = encoded(base(), "PNG")
    yield Case("png-without-end.png", lambda: whole[:-12], looks=base)
    yield Case("png-half-of-the-end.png", lambda: whole[:-6], looks=base)
    yield Case("png-without-end-and-checksum.png", lambda: whole[:-16], looks=base)
    yield Case("png-trailing-bytes.png", lambda: whole + b"trailer" * 100, looks=base)
    tail = chunk(b"tEXt", b"Comment\0" + b"x" * 400)
    cut = with_chunk(tail, before_pixels=False)[:-200]
    yield Case("png-cut-in-text-behind-the-pixels.png", lambda: cut, looks=base)
    hexed = exif(6).hex().encode()
    raw = b"\nexif\n%8d\n" % (len(hexed) // 2) + hexed + b"\n"
    magick = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw))
    turned = partial(with_chunk, magick, data=encoded(stored(6), "PNG"))
    yield Case("png-exif-as-imagemagick-writes-it.png", turned, looks=base)
