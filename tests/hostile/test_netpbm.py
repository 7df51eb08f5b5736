"""PBM, PGM and PPM as text: as Pillow reads them, in bounded time, or refused with the right code."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from PIL import Image

from tasks.images import BadImage, decode
from tasks.images.samples import to_rgb

CHANCE = np.random.default_rng(5)


def text(kind: int, values: np.ndarray, top: int | None = None, between: bytes = b" ") -> bytes:
    height, width = values.shape[:2]
    head = b"P%d\n# made\n%d %d\n" % (kind, width, height) + (b"" if top is None else b"%d\n" % top)
    return head + between.join(b"%d" % value for value in values.reshape(-1))


def array(data: bytes) -> np.ndarray:
    return np.asarray(decode(data))


@pytest.mark.parametrize(
    ("kind", "top"), [(2, 255), (2, 7), (2, 1), (2, 4095), (2, 65535), (3, 255), (3, 15), (3, 1000), (1, None)]
)
def test_values_are_scaled_as_by_pillow(kind: int, top: int | None) -> None:
    shape = (21, 30, 3) if kind == 3 else (21, 30)
    data = text(kind, CHANCE.integers(0, (top or 1) + 1, shape), top)
    image = Image.open(io.BytesIO(data))
    assert np.array_equal(array(data), np.asarray(to_rgb(image, None)))


def test_a_large_file_is_read_in_seconds() -> None:
    values = CHANCE.integers(0, 256, (1400, 1400, 3))
    data = text(3, values, 255)
    assert len(data) > 20_000_000
    begin = time.process_time()
    assert np.array_equal(array(data), values)
    assert time.process_time() - begin < 8  # Pillow takes 22 s


def test_comments_are_blanks_wherever_they_are() -> None:
    values = CHANCE.integers(0, 256, (900, 700, 3))
    plain = text(3, values, 255, between=b"#1 2\n")
    assert len(plain) > 2**23  # more than two blocks, so that some comments and numbers are in two
    begin = time.process_time()
    assert np.array_equal(array(plain), values)
    assert array(b"P3#c\r1 #c\n1 255#c\n7 8#9\n9#").tolist() == [[[7, 8, 9]]]
    assert array(b"P1 2 2 #\n0 1#1\n10")[..., 0].tolist() == [[255, 0], [0, 255]]  # without blanks
    assert array(b"P6#" + b"x" * 5_000_000 + b"\n1 1 255#c\n\1\2\3").tolist() == [[[1, 2, 3]]]
    assert time.process_time() - begin < 8


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"P3 1 1 255\n1 2 300", "damaged"), (b"P3 1 1 255 1 -2 3", "damaged"), (b"P3 1 1 0\n1 2 3", "damaged"),
        (b"P3 1 1 65536\n1 2 3", "damaged"), (b"P3 1 1 255\n" + b"1" * 11 + b" 2 3", "damaged"),
        (b"P3 1 1 255\n" + b"1" * 9_000_000, "damaged"), (b"P1 2 1\n02", "damaged"), (b"P2 x 1 255 1", "damaged"),
        (b"P3 " + b"9" * 11 + b" 1 255 1", "damaged"), (b"P3 0 1 255 1", "damaged"),
        (b"P3 1 1 255\n1 2", "truncated"), (b"P2 1 1", "truncated"), (b"P2 1 1 255", "truncated"),
        (b"P5 #" + b"x" * 9_000_000, "truncated"), (b"P2 99999 99999 255 1", "too-many-pixels"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(data: bytes, code: str) -> None:
    begin = time.process_time()
    with pytest.raises(BadImage) as refused:
        decode(data)
    assert refused.value.code == code
    assert time.process_time() - begin < 8


def test_values_behind_the_last_pixel_do_not_matter() -> None:
    assert array(b"P2 2 1 255\n1 2 999 3").tolist() == array(b"P2 2 1 255\n1 2").tolist()
