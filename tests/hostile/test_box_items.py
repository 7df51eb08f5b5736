"""In AVIF, HEIF and JPEG XL the container turns the pixels; date and camera come from EXIF, however it is stored."""

from __future__ import annotations

import struct
from typing import Any

import imagecodecs
import pytest

from tasks.images import decode_with_media
from tasks.images.box_items import exif_item
from tests.hostile import heic
from tests.hostile.metadata import NAN
from tests.hostile.picture import base, difference, encoded, exif, rgb_array, stored

CAMERA: dict[int, Any] = {271: (2, b"Maker\0"), 272: (2, b"Model 1\0"), 306: (2, b"2024:05:06 07:08:09\0")}
TOLD = ("2024-05-06T07:08:09", "Maker Model 1")


def seen(data: bytes, within: float = 5) -> tuple[str | None, str | None]:
    """Date and camera of a file that shows the base picture."""
    (view,), media = decode_with_media(data)
    assert difference(view, base()) <= within
    assert (media.width, media.height) == base().size
    return media.taken_at, media.camera


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + name + body


def test_avif() -> None:
    assert seen(encoded(stored(6), "AVIF", quality=95, exif=exif(6, CAMERA))) == TOLD
    assert seen(encoded(base(), "AVIF", quality=95, exif=exif(1, CAMERA))) == TOLD
    assert seen(encoded(base(), "AVIF", quality=95)) == (None, None)


def test_avif_whose_exif_pillow_cannot_read() -> None:
    data = bytearray(encoded(stored(6), "AVIF", quality=95, exif=exif(6, {**CAMERA, 282: (5, [(72, 1)])})))
    begin = data.index(b"II*\0")
    at = data.index(struct.pack("<HHI", 282, 5, 1), begin)
    (place,) = struct.unpack_from("<I", data, at + 8)
    data[at + 2 : at + 4] = struct.pack("<H", 12)
    data[begin + place : begin + place + 8] = NAN
    assert seen(bytes(data)) == TOLD


def test_avif_with_an_orientation_in_exif_alone() -> None:
    """The pixels are upright, as the container says: nothing turns them."""
    data = encoded(base(), "AVIF", quality=95, exif=exif(1, {**CAMERA, 0x0128: (3, [6])}))
    changed = data.replace(struct.pack("<HHIH", 0x0128, 3, 1, 6), struct.pack("<HHIH", 0x0112, 3, 1, 6))
    assert changed != data
    assert seen(changed) == TOLD


def test_heic() -> None:
    pytest.importorskip("pi_heif")
    data = heic.TURNED
    at = data.rindex(b"Exif\0\0") - 4  # the last thing in the file
    size = len(data) - at
    payload = b"\0\0\0\6" + exif(6, CAMERA)
    here, there = ((at, 1, 0, size), (len(data) + 8, 1, 0, len(payload)))  # base, one extent
    moved = data.replace(struct.pack(">IHII", *here), struct.pack(">IHII", *there))
    moved += box(b"mdat", payload)
    assert exif_item(moved) == exif(6, CAMERA)[6:]
    assert seen(moved) == TOLD
    for length in range(0, len(moved), 7):
        exif_item(moved[:length])  # raises nothing


def test_jpeg_xl() -> None:
    encode: Any = imagecodecs.jpegxl_encode
    data = encode(rgb_array(), lossless=True, usecontainer=True)
    plain = exif(6, CAMERA)
    for body in (b"\0\0\0\0" + plain[6:], b"\0\0\0\6" + plain):
        assert seen(data + box(b"Exif", body)) == TOLD
        packed: Any = imagecodecs.brotli_encode(body)
        assert seen(data + box(b"brob", b"Exif" + bytes(packed))) == TOLD
    bomb: Any = imagecodecs.brotli_encode(bytes(100_000_000), level=5)
    for body in (b"", b"noise", bytes(bomb)):
        assert seen(data + box(b"brob", b"Exif" + body)) == (None, None)
