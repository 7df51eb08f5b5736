"""WebP: sizes of the container that are wrong where its chunks are right."""

from __future__ import annotations

import struct

import pytest

from tasks.images import BadImage, decode
from tests.hostile.files import WHOLE, noisy
from tests.hostile.picture import encoded


def sized(data: bytes, size: int) -> bytes:
    return data[:4] + struct.pack("<I", size) + data[8:]


@pytest.mark.parametrize("name", ["webp", "lossless.webp", "animated.webp"])
def test_a_size_that_is_wrong(name: str) -> None:
    data: bytes = WHOLE[name]()
    told = len(data) - 8
    looks = decode(data).tobytes()
    for off in (1, -1, -2, -3, -50):
        for behind in (b"", b"trailer" * 9):
            assert decode(sized(data, told + off) + behind).tobytes() == looks
    for off in (2, 100):
        with pytest.raises(BadImage) as refused:
            decode(sized(data, told + off))
        assert refused.value.code == "truncated"
    for less in (2, 50):
        with pytest.raises(BadImage):
            decode(sized(data[:-less], told - less))


def test_padding_that_is_missing_or_not_counted() -> None:
    data = encoded(noisy(), "WEBP", xmp=b"<x/>\n")
    assert data.endswith(b"\n\0")
    looks = decode(data).tobytes()
    for told in (len(data) - 9, len(data) - 8):
        for end in (b"", b"\0"):
            assert decode(sized(data[:-1], told) + end).tobytes() == looks
