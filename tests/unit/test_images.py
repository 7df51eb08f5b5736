"""Any bytes become an upright RGB picture or a permanent error with a code: no third outcome."""

from __future__ import annotations

import contextlib
import io
import struct
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.images import BadImage, decode
from tasks.images.hdr import HLG, PQ, to_srgb
from vectordb.errors import Permanent

RED, WHITE = (255, 0, 0), (255, 255, 255)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixel(image: Image.Image, x: int = 0, y: int = 0) -> tuple[int, ...]:
    value = image.getpixel((x, y))
    assert isinstance(value, tuple)
    return tuple(int(part) for part in value)


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises a size and holds no pixel."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (body, data, b"IEND")
    )


def noise(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(1)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "JPEG2000", "PPM", "ICO"])
def test_formats_that_people_have_become_rgb(kind: str) -> None:
    image = decode(encoded(Image.new("RGB", (48, 32), RED), kind))
    assert image.mode == "RGB"
    assert max(abs(a - b) for a, b in zip(pixel(image, 5, 20), RED, strict=True)) < 8


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
def test_one_pixel_of_any_mode_is_an_image(mode: str) -> None:
    image = decode(encoded(Image.new(mode, (1, 1)), "TIFF"))
    assert (image.mode, image.size) == ("RGB", (1, 1))


def test_transparency_lies_over_white() -> None:
    assert pixel(decode(encoded(Image.new("RGBA", (2, 2), (255, 0, 0, 0))))) == WHITE
    assert pixel(decode(encoded(Image.new("RGBA", (2, 2), (255, 0, 0, 128)))))[1] == pytest.approx(127, abs=1)
    assert pixel(decode(encoded(Image.new("LA", (2, 2), (0, 0))))) == WHITE
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([10, 20, 30, 255, 0, 0])
    palette.putpixel((1, 1), 1)
    image = decode(encoded(palette, transparency=0))
    assert (pixel(image), pixel(image, 1, 1)) == (WHITE, RED)
    image = decode(encoded(Image.new("RGB", (2, 2), (1, 2, 3)), transparency=(1, 2, 3)))
    assert pixel(image) == WHITE


def test_wide_values_are_scaled_and_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16)
    expected = np.arange(256).reshape(16, 16)
    for kind in ("PNG", "TIFF"):
        image = decode(encoded(Image.fromarray(ramp), kind))
        assert np.array_equal(np.asarray(image)[..., 0], expected)
    floats = Image.fromarray(np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16))
    assert np.array_equal(np.asarray(decode(encoded(floats, "TIFF")))[..., 2], expected)
    wide = Image.fromarray(np.linspace(-7, 9e6, 256, dtype=np.float32).reshape(16, 16))
    assert np.array_equal(np.asarray(decode(encoded(wide, "TIFF")))[..., 1], expected)
    broken = Image.fromarray(np.full((3, 3), np.nan, dtype=np.float32))
    assert pixel(decode(encoded(broken, "TIFF"))) == (0, 0, 0)


def test_cmyk_keeps_its_colours() -> None:
    red = Image.new("RGB", (16, 16), RED).convert("CMYK")
    for kind in ("JPEG", "TIFF"):
        found = pixel(decode(encoded(red, kind)), 4, 4)
        assert found[0] > 240
        assert max(found[1:]) < 16


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_respected(orientation: int) -> None:
    upright = Image.new("RGB", (32, 16), WHITE)
    upright.paste(RED, (0, 0, 8, 8))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation → the transpose that a camera would store
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode(encoded(stored, "JPEG", exif=exif, quality=95))
    assert image.size == (32, 16)
    assert pixel(image, 2, 2)[1] < 60
    assert pixel(image, 29, 13)[1] > 200


def test_broken_exif_does_not_spoil_a_good_picture() -> None:
    data = encoded(noise(20, 10), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff\xff")
    assert decode(data).size == (20, 10)


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, WHITE)]
    for kind in ("GIF", "WEBP", "PNG"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert pixel(decode(data))[1] < 8


def test_a_large_jpeg_is_decoded_near_the_size_that_the_model_wants() -> None:
    data = encoded(noise(2400, 1600), "JPEG")
    assert decode(data, near=224).size == (1200, 800)
    assert decode(data, near=64).size == (300, 200)
    assert decode(data).size == (2400, 1600)
    assert decode(encoded(noise(300, 200), "JPEG"), near=224).size == (300, 200)


@pytest.mark.parametrize("side", [11_000, 20_000, 60_000])
def test_too_many_pixels_are_refused_from_the_header(side: int) -> None:
    begun = time.process_time()
    with pytest.raises(BadImage, match="limit") as caught:
        decode(png_header(side, side))
    assert caught.value.code == "too-many-pixels"
    assert time.process_time() - begun < 0.5


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"these are words, whatever the name says\n", "not-an-image"),
        (b"%PDF-1.7\n%%EOF\n", "not-an-image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n", "not-an-image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", "not-an-image"),
        (b"\xff\xd8\xff\xe0\x00", "damaged"),
        (encoded(noise(200, 200), "JPEG")[:9000], "truncated"),
        (encoded(noise(200, 200), "PNG")[:9000], "truncated"),
        (encoded(noise(200, 200), "BMP")[:9000], "truncated"),
        (png_header(50, 50), "truncated"),
    ],
)
def test_bad_bytes_say_what_is_wrong(data: bytes, code: str) -> None:
    with pytest.raises(Permanent) as caught:
        decode(data)
    assert isinstance(caught.value, BadImage)
    assert caught.value.code == code
    assert len(str(caught.value)) > 10


def test_no_warning_leaks() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadImage):
            decode(png_header(10_000, 10_000))  # within our limit, beyond the one that Pillow warns at
        palette = Image.new("P", (4, 4))
        assert decode(encoded(palette, transparency=b"\x00\x80")).mode == "RGB"


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"]), st.data())
def test_flipped_bytes_never_raise_anything_else(kind: str, data: st.DataObject) -> None:
    whole = bytearray(encoded(noise(24, 16), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadImage):
        assert decode(bytes(whole), max_pixels=1_000_000).mode == "RGB"


def test_real_photographs_decode() -> None:
    from skimage import data  # noqa: PLC0415 - heavy, and only here

    image = decode((Path(data.__file__).parent / "chelsea.png").read_bytes(), near=260)
    assert (image.mode, image.size) == ("RGB", (451, 300))


def test_high_dynamic_range_is_brought_to_that_of_screens() -> None:
    for transfer, white in ((PQ, 148), (HLG, 191)):  # 58 % and 75 %: the white of graphics, 203 cd/m2
        ramp = np.array([0, 40, white, 220, 255], dtype=np.uint8)
        made = to_srgb(np.stack([ramp] * 3, axis=-1)[None], transfer)[0]
        assert (np.ptp(made.astype(int), axis=1) <= 2).all()  # grey stays grey
        assert made[0, 0] == 0
        assert 220 <= made[2, 0] <= 245
        assert (np.diff(made[:, 0].astype(int)) >= 0).all()
        assert made[4, 0] >= 250
