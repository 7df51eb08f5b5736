"""TIFF: sizes of strips that are missing or too large, thumbnails of the old kind, and colours with fewer samples."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from tasks.images import BadImage, decode, decode_with_media
from tests.hostile.picture import HEIGHT, WIDTH, base, difference, rgb_array, tiff_structure

LINE = 3 * WIDTH


def strips(rows: int, counts: list[int] | None) -> bytes:
    """The base picture in strips of so many rows, behind the directory, so that it ends the file."""
    number = -(-HEIGHT // rows)

    def made(at: int) -> bytes:
        entries: dict[int, Any] = {
            256: (4, [WIDTH]), 257: (4, [HEIGHT]), 258: (3, [8, 8, 8]), 259: (3, [1]), 262: (3, [2]), 277: (3, [3]),
            273: (4, [at + rows * LINE * index for index in range(number)]), 278: (4, [rows]),
        }  # fmt: skip
        return tiff_structure([entries if counts is None else {**entries, 279: (4, counts)}])

    return made(len(made(0))) + rgb_array().tobytes()


@pytest.mark.parametrize(
    ("rows", "counts"),
    [(16, None), (HEIGHT, None), (30, [30 * LINE] * 3), (4 * HEIGHT, [4 * HEIGHT * LINE]), (30, [99_999] * 3)],
)
def test_sizes_of_strips_that_are_missing_or_too_large(rows: int, counts: list[int] | None) -> None:
    data = strips(rows, counts)
    assert difference(decode(data), base()) == 0
    with pytest.raises(BadImage) as refused:
        decode(data[:-100])
    assert refused.value.code == "truncated"


def test_a_thumbnail_of_the_old_kind() -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for array, kind in ((rgb_array()[::4, ::4], 2), (rgb_array(), 1)):
            writer.write(array, photometric="rgb", extratags=[(255, 3, 1, kind, True)], metadata=None)
    (view,), media = decode_with_media(buffer.getvalue())
    assert difference(view, base()) == 0
    assert media.frames == 1


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("sizes", ["told", "missing", "too large"])
@pytest.mark.parametrize(("across", "down"), [(1, 1), (2, 1), (2, 2), (4, 2)])
def test_plain_ycbcr_with_fewer_samples_of_colour(order: str, sizes: str, across: int, down: int) -> None:
    samples = np.asarray(base().convert("YCbCr"))
    shape = (HEIGHT // down, down, WIDTH // across, across)
    luma = samples[..., 0].reshape(shape).transpose(0, 2, 1, 3).reshape(shape[0], shape[2], -1)
    chroma = [np.rint(samples[..., at].reshape(shape).mean(axis=(1, 3)))[..., None] for at in (1, 2)]
    body = np.concatenate([luma, *chroma], axis=2).astype(np.uint8)
    half = body[: shape[0] // 2].nbytes
    counts = {"told": [half, half], "too large": [half, 99_999]}.get(sizes)
    data = tiff_structure([{
        256: (4, [WIDTH]), 257: (4, [HEIGHT]), 258: (3, [8, 8, 8]), 259: (3, [1]), 262: (3, [6]),
        273: (4, [8, 8 + half]), 277: (3, [3]), 278: (4, [HEIGHT // 2]), **({279: (4, counts)} if counts else {}),
        530: (3, [across, down]),
    }], body.tobytes(), order=order)  # fmt: skip
    small = base().resize((WIDTH // across, HEIGHT // down), Image.Resampling.BOX)
    looks = base() if across * down == 1 else small.resize(base().size, Image.Resampling.NEAREST)
    assert difference(decode(data).resize(small.size, Image.Resampling.BOX), small) <= 3
    assert difference(decode(data), looks) <= 14


def test_claims_of_many_strips_cost_nothing() -> None:
    entries: dict[int, Any] = {
        256: (4, [1]), 257: (4, [100_000_000]), 258: (3, [8]), 259: (3, [1]), 262: (3, [1]), 277: (3, [65535]),
        273: (4, [8]), 278: (4, [1]), 284: (3, [2]),
    }  # fmt: skip
    with pytest.raises(BadImage):
        decode(tiff_structure([entries], struct.pack("<I", 0)))


def test_a_picture_of_a_scanner_is_no_camera_raw() -> None:
    """The first directory is a thumbnail, and the maker is one of cameras; another directory holds the picture."""
    small = np.asarray(base().resize((30, 20))).tobytes()

    def page(width: int, height: int, at: int, kind: int) -> dict[int, Any]:
        return {
            254: (4, [kind]), 256: (4, [width]), 257: (4, [height]), 258: (3, [8, 8, 8]), 259: (3, [1]),
            262: (3, [2]), 273: (4, [at]), 277: (3, [3]), 278: (4, [height]), 279: (4, [3 * width * height]),
        }  # fmt: skip

    data = tiff_structure(
        [{**page(30, 20, 8, 1), 271: (2, b"NIKON\0")}],
        small + rgb_array().tobytes(),
        subs={330: [page(WIDTH, HEIGHT, 8 + len(small), 0)]},
    )
    (view,), media = decode_with_media(data)
    assert difference(view, base()) == 0
    assert media.format == "TIFF"
