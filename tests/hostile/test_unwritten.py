"""Files that were allocated and not written to their end: refused, or read with a warning if they may be good."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw

from tasks.images import BadImage, decode, decode_with_media
from tests.hostile.metadata import chunk, jpeg_in_jxl
from tests.hostile.picture import base, difference, encoded, srgb_profile, tiff_structure

SIZE = WIDTH, HEIGHT = 300, 200


def photograph() -> Image.Image:
    """A picture without black, with some noise."""
    noise = np.random.default_rng(3).integers(-8, 9, (HEIGHT, WIDTH, 3))
    lit = 40 + np.asarray(base().resize(SIZE)).astype(int) * 3 // 4
    return Image.fromarray(np.clip(lit + noise, 1, 255).astype(np.uint8))


def tif(array: Any = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.asarray(photograph()) if array is None else array, **options)
    return buffer.getvalue()


def wide(order: str = "<") -> Any:
    return (np.asarray(photograph()).astype(np.uint16) * 257).astype(order + "u2")


def icon() -> bytes:
    return encoded(photograph().resize((256, 256)), "ICO", sizes=[(256, 256)], bitmap_format="bmp")


def ppm(array: Any, head: bytes) -> bytes:
    return head + bytes(array.tobytes())


PLAIN: dict[str, Callable[[], bytes]] = {
    "bmp": lambda: encoded(photograph(), "BMP"),
    "grey.bmp": lambda: encoded(photograph().convert("L"), "BMP"),
    "opacity.bmp": lambda: encoded(photograph().convert("RGBA"), "BMP"),
    "ico": icon,
    "ppm": lambda: encoded(photograph(), "PPM"),
    "comment.ppm": lambda: b"P6\n# made\n300 200\n255\n" + photograph().tobytes(),
    "pgm": lambda: encoded(photograph().convert("L"), "PPM"),
    "wide.ppm": lambda: ppm(wide(">"), b"P6 300 200 65535\n"),
    "tif": lambda: tif(rowsperstrip=HEIGHT),
    "strips.tif": lambda: tif(rowsperstrip=16),
    "tiles.tif": lambda: tif(tile=(64, 64)),
    "wide.tif": lambda: tif(wide()),
    "big-endian.tif": lambda: tif(wide(), byteorder=">"),
    "planes.tif": lambda: tif(np.asarray(photograph()).transpose(2, 0, 1).copy(), photometric="rgb"),
}


def half(data: bytes, share: float, shift: int = 0) -> bytes:
    at = int(len(data) * share) + shift
    return data[:at] + bytes(len(data) - at)


@pytest.mark.parametrize("name", PLAIN)
def test_zeros_that_begin_within_a_row(name: str) -> None:
    data = PLAIN[name]()
    assert not decode_with_media(data)[1].warnings
    codes = [_code(half(data, share)) for share in np.linspace(0.32, 0.9, 12)]
    assert codes.count("truncated") >= (6 if name == "tiles.tif" else 9)
    assert set(codes) <= {"truncated", "may-be-truncated"}  # some cuts are at the end of a row, or of a tile


def _code(data: bytes) -> str:
    try:
        warnings = decode_with_media(data)[1].warnings
    except BadImage as exc:
        return exc.code
    return warnings[0].code if warnings else "nothing"


def black_below(rows: int) -> Image.Image:
    image = photograph()
    image.paste((0, 0, 0), (0, HEIGHT - rows, WIDTH, HEIGHT))
    return image


def formats(image: Image.Image) -> list[bytes]:
    return [
        encoded(image, "BMP"), encoded(image.transpose(Image.Transpose.FLIP_TOP_BOTTOM), "BMP"),
        encoded(image, "PPM"), encoded(image, "TIFF"), tif(np.asarray(image), rowsperstrip=16),
    ]  # fmt: skip


def test_black_below_a_picture_is_read_with_a_warning() -> None:
    for data in (encoded(black_below(60), kind) for kind in ("PPM", "TIFF")):
        (image, *_), media = decode_with_media(data)
        assert difference(image, black_below(60)) == 0
        assert [one.code for one in media.warnings] == ["may-be-truncated"]
        assert "lower 30 %" in media.warnings[0].reason
    above = black_below(60).transpose(Image.Transpose.ROTATE_180)
    assert "upper 30 %" in decode_with_media(encoded(above, "BMP"))[1].warnings[0].reason
    assert _code(encoded(Image.new("RGB", SIZE), "BMP")) == "may-be-truncated"


def letterbox() -> Image.Image:
    image = black_below(30)
    image.paste((0, 0, 0), (0, 0, WIDTH, 30))
    return image


def on_black() -> Image.Image:
    """A round thing on a black background, as in astronomy and medicine."""
    mask = Image.new("L", SIZE)
    ImageDraw.Draw(mask).ellipse((90, 40, 210, 160), fill=255)
    image = Image.new("RGB", SIZE)
    image.paste(photograph(), mask=mask)
    return image


def turned(angle: float, resample: Image.Resampling) -> Image.Image:
    return photograph().rotate(angle, resample, expand=True)


def logo() -> Image.Image:
    mask = on_black().convert("L").point(lambda level: 255 if level else 0)
    image = Image.new("RGBA", SIZE)
    image.paste(photograph(), mask=mask)
    return image


def night() -> Image.Image:
    """Stars, and noise that is mostly 0."""
    rng = np.random.default_rng(5)
    pixels = np.maximum(rng.normal(-4, 3, (HEIGHT, WIDTH, 3)), 0)
    pixels[rng.integers(0, HEIGHT, 40), rng.integers(0, WIDTH, 40)] = 255
    return Image.fromarray(pixels.astype(np.uint8))


GOOD: dict[str, Callable[[], Image.Image]] = {
    "photograph": photograph, "letterbox": letterbox, "thin-bar": lambda: black_below(8), "on-black": on_black,
    "night": night, **{
        f"turned-by-{angle}-{resample.name}": partial(turned, angle, resample)
        for angle in (0.2, 0.5, 3, 45) for resample in (Image.Resampling.NEAREST, Image.Resampling.BICUBIC)
    },
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_good_pictures_that_end_dark(name: str) -> None:
    image = GOOD[name]()
    for data in [*formats(image), encoded(image.convert("L"), "BMP"), encoded(image.quantize(64), "BMP")]:
        (found, *_), media = decode_with_media(data)
        assert found.size == image.size
        assert not media.warnings or name.startswith("turned")
    assert not decode_with_media(encoded(logo(), "BMP"))[1].warnings


def run_lengths(*, ended: bool, zeros: int = 0) -> bytes:
    """A BMP with run lengths (RLE8): rows of two colours."""
    table = b"".join(bytes([level, level, level, 0]) for level in range(256))
    rows = b"".join(bytes([60, 50 + row, 60, 200, 0, 0]) for row in range(80))
    body = rows[: -2 if ended else 40 * 6] + (b"\0\1" if ended else b"") + bytes(zeros)
    head = struct.pack("<IiiHHIIiiII", 40, 120, 80, 1, 8, 1, len(body), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 14 + 40 + 1024 + len(body), 0, 0, 14 + 40 + 1024) + head + table + body


def test_run_lengths_that_end_in_zeros() -> None:
    assert decode(run_lengths(ended=True)).getpixel((0, 0)) == (129, 129, 129)
    assert decode(run_lengths(ended=True, zeros=64)).size == (120, 80)
    assert _code(run_lengths(ended=False, zeros=240)) == "truncated"


@pytest.mark.parametrize("options", [{}, {"quality": 95}, {"lossless": True}, {"lossless": True, "method": 0}])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webp_whose_zeros_begin_anywhere(mode: str, options: dict[str, Any]) -> None:
    data = encoded(photograph().convert(mode), "WEBP", **options)
    assert decode(data).size == SIZE
    for share in (0.2, 0.5, 0.7, 0.9):
        for shift in (0, 1):
            assert _code(half(data, share, shift)) == "truncated"
    for flat in (Image.new(mode, (1500, 1000), "white"), Image.new(mode, (1500, 1000))):
        assert decode(encoded(flat, "WEBP", **options)).size == flat.size


def frames(kind: str) -> bytes:
    turns = [photograph().rotate(angle) for angle in (90, 180)]
    return encoded(photograph(), kind, save_all=True, append_images=turns)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "GIF"])
def test_animations_whose_later_frames_are_zeros(kind: str) -> None:
    data = frames(kind)
    assert decode_with_media(data)[1].frames == 3
    for share in (0.45, 0.55, 0.65, 0.8, 0.95):
        assert _code(half(data, share)) == "truncated", share
        assert _code(data[: int(len(data) * share)]) == "truncated", share


def test_an_animation_that_ends_well_with_fewer_frames() -> None:
    data = frames("PNG")
    last = data.rindex(b"fcTL") - 4
    assert _code(data[:last] + chunk(b"IEND", b"")) == "frames-missing"
    assert _code(data[:last]) == "truncated"
    assert difference(decode(data[:last] + chunk(b"IEND", b"")), photograph()) == 0


def icons() -> bytes:
    return encoded(photograph().resize((256, 256)), "ICO", sizes=[(64, 64), (128, 128), (256, 256)])


def test_an_icon_whose_largest_image_was_not_written() -> None:
    data = icons()
    assert decode(data).size == (256, 256)
    (at,) = struct.unpack_from("<I", data, 6 + 16 * 2 + 12)
    for share in (0.0, 0.5, 0.9):
        assert _code(data[: at + int((len(data) - at) * share)].ljust(len(data), b"\0")) == "truncated"


@pytest.mark.parametrize("compression", ["zlib", "webp", "jpeg2000", "jpegxr", "lzw", "packbits", "zstd", "jpeg"])
def test_packed_parts_that_end_in_zeros(compression: str) -> None:
    data = tif(compression=compression, rowsperstrip=64)
    assert decode(data).size == SIZE
    for share in (0.3, 0.5, 0.7, 0.9):
        assert _code(half(data, share)) == "truncated", share


def test_parts_that_are_longer_than_their_data() -> None:
    pixels = np.asarray(photograph()).tobytes()
    for data in (zlib.compress(pixels), bytes(imagecodecs.lzw_encode(pixels))):
        compression = 8 if data[:1] == b"\x78" else 5
        made = _one_strip(data + bytes(500), compression)
        assert difference(decode(made), photograph()) == 0


def _one_strip(body: bytes, compression: int) -> bytes:
    return tiff_structure([{
        256: (4, [WIDTH]), 257: (4, [HEIGHT]), 258: (3, [8, 8, 8]), 259: (3, [compression]), 262: (3, [2]),
        273: (4, [8]), 277: (3, [3]), 278: (4, [HEIGHT]), 279: (4, [len(body)]),
    }], body)  # fmt: skip


@pytest.mark.parametrize("near", [None, 64])
def test_a_jpeg_whose_last_refining_scan_was_cut(near: int | None) -> None:
    for mode in ("RGB", "L"):
        data = encoded(photograph().convert(mode), "JPEG", quality=90, progressive=True)
        at = data.rindex(b"\xff\xda") + 12
        for share in (0.05, 0.5, 0.95):
            cut = data[: at + int((len(data) - at) * share)].rstrip(b"\xff") + b"\xff\xd9"
            for behind in (b"", b"trailer" * 9):
                with pytest.raises(BadImage) as refused:
                    decode(cut + behind, near=near)
                assert refused.value.code == "truncated"
        assert decode(data + b"trailer", near=near).size


def test_a_colour_profile_that_is_not_handed_over() -> None:
    data = jpeg_in_jxl(encoded(photograph(), "JPEG", quality=97, icc_profile=srgb_profile()))
    assert _code(data) == "nothing"
    assert _code(data.replace(b"jbrd", b"free")) == "profile-not-applied"
