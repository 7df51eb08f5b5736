"""JPEG: which of several EXIF segments counts, and halves that somebody gave an end marker."""

from __future__ import annotations

import struct

import pytest
from PIL import Image

from tasks.images import BadImage, decode
from tests.hostile.files import noisy
from tests.hostile.picture import base, difference, encoded, exif, stored


def segment(body: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


@pytest.mark.parametrize("first", [b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"])
def test_an_empty_exif_segment_does_not_hide_another(first: bytes) -> None:
    data = encoded(stored(6), "JPEG", quality=97, subsampling=0)
    for segments in (segment(first) + segment(exif(6)), segment(exif(6)) + segment(exif(3))):
        assert difference(decode(data[:2] + segments + data[2:]), base()) <= 2


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_half_with_an_end_marker_is_truncated(mode: str) -> None:
    data = encoded(noisy().convert(mode), "JPEG", quality=95)
    for behind in (b"", b"trailer" * 99, encoded(base(), "JPEG")):
        with pytest.raises(BadImage) as refused:
            decode(data[: len(data) // 2] + b"\xff\xd9" + behind)
        assert refused.value.code == "truncated"
        assert difference(decode(data + behind), decode(data)) == 0


def test_grey_is_no_sign_of_a_half() -> None:
    for mode, colour in (("L", 128), ("RGB", (128, 128, 128)), ("CMYK", (127, 127, 127, 127))):
        flat = Image.new(mode, (64, 48), colour)
        for options in ({}, {"progressive": True}):
            assert decode(encoded(flat, "JPEG", **options)).size == flat.size
