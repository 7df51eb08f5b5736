"""Ranges, byte orders and counts that a file declares are believed; what it does not declare is found in its data."""

from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tasks.images import decode
from tests.hostile.layouts import written
from tests.hostile.picture import base, difference, grey, grey_array, rgb_array

DARK = 0.2  # of the range: a night


def dark(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.rint(np.asarray(image) * DARK).astype(np.uint8))


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("share", [1.0, DARK])
@pytest.mark.parametrize("colour", [True, False])
def test_declared_bits_of_jpeg_2000_and_jpeg(bits: int, share: float, *, colour: bool) -> None:
    shown: Image.Image = base() if colour else grey()
    array: Any = rgb_array() if colour else grey_array()
    values = np.rint(array / 255 * share * (2**bits - 1)).astype(np.uint16)
    looks = shown if share == 1 else dark(shown)
    encode: Any = imagecodecs.jpeg2k_encode
    for container in ("jp2", "j2k"):
        data = encode(values, level=0, bitspersample=bits, codecformat=container, reversible=True)
        assert difference(decode(data), looks) <= 1
    lossless: Any = imagecodecs.ljpeg_encode
    if not colour:
        assert difference(decode(lossless(values, bitspersample=bits)), looks) <= 1


@pytest.mark.parametrize("compression", ["lzw", "zlib"])
def test_packed_floats_and_long_integers_of_either_byte_order(compression: str) -> None:
    for order in "<>":
        for values in (grey_array().astype(np.float32) / 255, grey_array().astype(np.int32) * 1000):
            data = written(values, photometric="minisblack", compression=compression, byteorder=order)
            assert difference(decode(data), grey()) <= 1
