"""Made files that broke off, that are something else, or that need an extra."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from functools import partial
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image

from tests.hostile import heic, raws
from tests.hostile.metadata import chunk
from tests.hostile.picture import HEIGHT, WIDTH, Case, base, encoded, grey, grey_array, rgb_array


def cases() -> Iterator[Case]:
    yield from _cut()
    yield from _complete()
    yield from _named()
    yield from _modern()
    yield from _raw()


def noisy() -> Image.Image:
    """The base picture with noise, so that files are large and no half is flat."""
    noise = np.random.default_rng(1).integers(-20, 21, (HEIGHT, WIDTH, 3))
    return Image.fromarray(np.clip(rgb_array().astype(int) + noise, 0, 255).astype(np.uint8))


def frames() -> list[Image.Image]:
    return [noisy().rotate(90 * at) for at in range(4)]


WHOLE: dict[str, Any] = {
    "jpg": lambda: encoded(noisy(), "JPEG", quality=95),
    "progressive.jpg": lambda: encoded(noisy(), "JPEG", quality=95, progressive=True),
    "grey.jpg": lambda: encoded(noisy().convert("L"), "JPEG"),
    "cmyk.jpg": lambda: encoded(noisy().convert("CMYK"), "JPEG"),
    "flat.jpg": lambda: encoded(Image.new("RGB", (400, 400), "teal"), "JPEG"),
    "png": lambda: encoded(noisy(), "PNG"),
    "apng": lambda: encoded(noisy(), "PNG", save_all=True, append_images=frames()[1:]),
    "palette.png": lambda: encoded(noisy().quantize(64), "PNG"),
    "gif": lambda: encoded(noisy(), "GIF"),
    "animated.gif": lambda: encoded(noisy(), "GIF", save_all=True, append_images=frames()[1:]),
    "webp": lambda: encoded(noisy(), "WEBP"),
    "lossless.webp": lambda: encoded(noisy(), "WEBP", lossless=True),
    "animated.webp": lambda: encoded(noisy(), "WEBP", save_all=True, append_images=frames()[1:]),
    "tif": lambda: encoded(noisy(), "TIFF"),
    "lzw.tif": lambda: encoded(noisy(), "TIFF", compression="tiff_lzw"),
    "deflate.tif": lambda: encoded(noisy(), "TIFF", compression="tiff_deflate"),
    "jpeg.tif": lambda: encoded(noisy(), "TIFF", compression="jpeg"),
    "avif": lambda: encoded(noisy(), "AVIF"),
    "bmp": lambda: encoded(noisy(), "BMP"),
    "ppm": lambda: encoded(noisy(), "PPM"),
    "jp2": lambda: encoded(noisy(), "JPEG2000"),
    "lossy.jp2": lambda: encoded(noisy(), "JPEG2000", irreversible=True, quality_layers=[20]),
    "ico": lambda: encoded(noisy().resize((64, 64)), "ICO", sizes=[(64, 64)]),
    "heic": lambda: heic.PLAIN,
    "jxl": lambda: imagecodecs.jpegxl_encode(np.asarray(noisy())),
    "animated.jxl": lambda: imagecodecs.jpegxl_encode(np.stack([np.asarray(one) for one in frames()[::2]])),
    "cr2": raws.cr2,
}
EXTRA = {"heic": "pi_heif", "jxl": "imagecodecs", "animated.jxl": "imagecodecs"}


def _cut() -> Iterator[Case]:
    for name, make in WHOLE.items():
        for share in (50, 75, 95):
            needs = EXTRA.get(name, "")
            if name == "cr2" and share > 50:
                continue  # the sensor's data are behind the preview, which is whole
            yield Case(f"{share}-percent.{name}", partial(_first, make, share), "truncated", needs=needs)
    rows = b" ".join(b"%d" % value for value in rgb_array().reshape(-1))
    words = b"P3\n%d %d\n255\n" % (WIDTH, HEIGHT) + rows
    yield Case("50-percent-of-words.ppm", lambda: words[: len(words) // 2], "truncated")
    yield Case("words.ppm", lambda: words, looks=base)
    yield Case("cut-in-header.jpg", lambda: encoded(noisy(), "JPEG", icc_profile=bytes(2000))[:900], "truncated")
    yield Case("half-then-zeros.jpg", lambda: _first(WHOLE["jpg"], 50) + bytes(5000), "truncated")
    yield Case("half-with-end-marker-of-a-thumbnail.jpg", _with_thumbnail, "truncated")
    yield Case("first-scan-only.jpg", _first_scan, "truncated")
    for count in (1, 2, 3):
        yield Case(f"{count}-bytes.jpg", partial(_begin, "jpg", count), "not-an-image" if count < 3 else "damaged")


def _first(make: Any, share: int) -> bytes:
    data: bytes = make()
    return data[: len(data) * share // 100]


def _begin(name: str, count: int) -> bytes:
    return bytes(WHOLE[name]()[:count])


def _with_thumbnail() -> bytes:
    """EXIF holds a whole JPEG, with an end marker of its own."""
    small = encoded(base().resize((32, 20)), "JPEG")
    data = encoded(noisy(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + small)
    return data[: len(data) * 2 // 3]


def _first_scan() -> bytes:
    """A progressive JPEG that ends exactly where its second scan begins."""
    data = encoded(noisy(), "JPEG", progressive=True)
    first = data.index(b"\xff\xda")
    at = first + 2
    while not (data[at] == 0xFF and data[at + 1] not in {0, 0xFF}):
        at += 1
    return data[:at]


def _complete() -> Iterator[Case]:
    for name in ("jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg", "flat.jpg"):
        whole = partial(_opened, WHOLE[name])
        yield Case(f"without-end-marker.{name}", partial(_less, WHOLE[name], 2), looks=whole, within=0)
        yield Case(f"half-an-end-marker.{name}", partial(_less, WHOLE[name], 1), looks=whole, within=0)
        yield Case(
            f"zeros-for-an-end-marker.{name}", partial(_less, WHOLE[name], 2, bytes(4096)), looks=whole, within=0
        )
        yield Case(f"bytes-behind.{name}", partial(_less, WHOLE[name], 0, b"trailer" * 99), looks=whole, within=0)
    for name in ("gif", "webp", "bmp", "tif", "ppm", "avif", "jp2"):
        whole = partial(_opened, WHOLE[name])
        yield Case(f"bytes-behind.{name}", partial(_less, WHOLE[name], 0, b"trailer" * 9), looks=whole, within=0)
    stream = partial(encoded, noisy(), "JPEG2000", no_jp2=True)
    yield Case("codestream.j2k", stream, looks=partial(_opened, stream), within=0)
    yield Case("half-of-a-codestream.j2k", partial(_first, stream, 50), "truncated")
    yield Case("without-trailer.gif", partial(_less, WHOLE["gif"], 1), looks=partial(_opened, WHOLE["gif"]), within=0)


def _less(make: Any, count: int, more: bytes = b"") -> bytes:
    data = make()
    return bytes(data[: len(data) - count] + more)


def _opened(make: Any) -> Image.Image:
    return Image.open(io.BytesIO(make())).convert("RGB")


def _named() -> Iterator[Case]:
    ftyp = struct.pack(">I", 24)
    cgbi = b"\x89PNG\r\n\x1a\n" + chunk(b"CgBI", b"P\0 \2") + encoded(base(), "PNG")[8:]
    for name, data, code, says in (
        ("a.pdf", b"%PDF-1.7\n1 0 obj\n", "not-an-image", "PDF"),
        ("a.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n", "not-an-image", "PostScript"),
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not-an-image", "SVG"),
        ("b.svg", b"<?xml version='1.0'?>\n<!-- by hand -->\n<!DOCTYPE svg>\n<svg>", "not-an-image", "SVG"),
        ("a.html", b"<!DOCTYPE html>\n<html><title>404</title>", "not-an-image", "HTML"),
        ("b.html", b"\xef\xbb\xbf  <HTML><body>", "not-an-image", "HTML"),
        ("a.xml", b"<?xml version='1.0'?><feed/>", "not-an-image", "XML"),
        ("a.mp4", ftyp + b"ftypisom\0\0\2\0isommp42" + bytes(99), "not-an-image", "MP4"),
        ("a.mov", ftyp + b"ftypqt  \0\0\2\0qt      " + bytes(99), "not-an-image", "QuickTime"),
        ("b.mov", struct.pack(">I", 8) + b"wide" + bytes(99), "not-an-image", "QuickTime"),
        ("a.mkv", b"\x1a\x45\xdf\xa3" + bytes(99), "not-an-image", "Matroska or WebM"),
        ("a.avi", b"RIFF\xff\xff\0\0AVI LIST" + bytes(99), "not-an-image", "AVI"),
        ("a.wav", b"RIFF\xff\xff\0\0WAVEfmt " + bytes(99), "not-an-image", "WAV"),
        ("a.zip", b"PK\x03\x04" + bytes(99), "not-an-image", "ZIP"),
        ("a.psd", b"8BPS\0\1" + bytes(99), "not-an-image", "Photoshop"),
        ("a.exr", b"\x76\x2f\x31\x01" + bytes(99), "unsupported", "OpenEXR"),
        ("a.pam", b"P7\nWIDTH 1\nHEIGHT 1\n", "unsupported", "PAM"),
        ("a.pfm", b"PF\n1 1\n-1.0\n" + bytes(12), "unsupported", "PFM"),
        ("a.x3f", b"FOVb" + bytes(99), "unsupported", "Sigma"),
        ("cgbi.png", cgbi, "unsupported", "CgBI"),
        ("notes.txt", b"these are words, whatever the name says\n", "not-an-image", "supported format"),
        ("zeros", bytes(4096), "not-an-image", "supported format"),
        ("empty", b"", "empty", ""),
    ):  # fmt: skip
        yield Case(f"named-{name}", partial(bytes, data), code, says=says)


def _modern() -> Iterator[Case]:
    heif: dict[str, Any] = {"needs": "pi_heif"}
    yield Case("plain.heic", lambda: heic.PLAIN, looks=base, within=5, **heif)
    yield Case("turned-by-irot-and-exif.heic", lambda: heic.TURNED, looks=base, within=5, **heif)
    jxl: dict[str, Any] = {"needs": "imagecodecs"}
    encode: Any = imagecodecs.jpegxl_encode  # returns bytes where no buffer is given
    yield Case("lossless.jxl", lambda: encode(rgb_array(), lossless=True), looks=base, **jxl)
    yield Case("lossy.jxl", lambda: encode(rgb_array(), level=90), looks=base, within=4, **jxl)
    yield Case("container.jxl", lambda: encode(rgb_array(), lossless=True, usecontainer=True), looks=base, **jxl)
    yield Case("grey.jxl", lambda: encode(grey_array(), lossless=True), looks=grey, **jxl)
    yield Case("wide.jxl", lambda: encode(rgb_array().astype(np.uint16) * 257, lossless=True), looks=base, **jxl)
    deep = bytes(imagecodecs.jpeg_encode(grey_array().astype(np.uint16) * 16, level=97, bitspersample=12))
    yield Case("grey-12-bits.jpg", lambda: deep, looks=grey, within=3, **jxl)
    lossless = bytes(imagecodecs.ljpeg_encode(grey_array().astype(np.uint16) * 257))
    yield Case("grey-16-bits-lossless.jpg", lambda: lossless, looks=grey, **jxl)
    for bits in (4, 10, 12, 15):
        values = np.rint(rgb_array() / 255 * (2**bits - 1)).astype(np.uint8 if bits <= 8 else np.uint16)
        clear = np.full((HEIGHT, WIDTH), 2**bits - 1, values.dtype)
        within = 9 if bits == 4 else 1
        for name, array in (("rgb", values), ("rgba", np.dstack([values, clear]))):
            make = partial(encode, array, lossless=True, bitspersample=bits)
            yield Case(f"{name}-{bits}-bits.jxl", make, looks=base, within=within, **jxl)
    rgba = np.dstack([rgb_array(), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    yield Case("opacity.jxl", lambda: encode(rgba, lossless=True), looks=base, **jxl)


def _raw() -> Iterator[Case]:
    large = partial(base().resize, (480, 320))
    for name, make in raws.MAKERS.items():
        yield Case(f"upright-{name}", make, looks=large, within=3)
        yield Case(f"turned-{name}", partial(make, 6), looks=large, within=3)
    yield Case("canon.cr3", raws.cr3, looks=large, within=3)
    yield Case("turned-canon.cr3", partial(raws.cr3, 6), looks=large, within=3)
    yield Case(
        "canon-small-preview.cr3", partial(raws.cr3, full=False), looks=partial(base().resize, (180, 120)), within=4
    )
