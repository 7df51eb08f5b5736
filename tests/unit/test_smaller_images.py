"""Very large images are made smaller before they become RGB; the result is that of making them smaller afterwards."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tasks.images import decode, limits
from tasks.images.heif import _reduced
from tasks.images.samples import smaller

WIDTH, HEIGHT, NEAR = 1203, 905, 100
FACTOR = 4  # 905 // 200


def picture() -> Image.Image:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return Image.fromarray(np.stack([x * 255 // WIDTH, y * 255 // HEIGHT, (x + y) % 256], -1).astype(np.uint8))


@pytest.fixture(autouse=True)
def _small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WHOLE", 1_000_000)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
def test_smaller_and_then_rgb_is_rgb_and_then_smaller(mode: str) -> None:
    image = picture().convert(mode)
    before = smaller(image, NEAR).convert("RGB")
    after = image.convert("RGB").reduce(FACTOR)
    assert before.size == after.size == (301, 227)
    assert np.abs(np.asarray(before, np.int16) - np.asarray(after, np.int16)).max() <= 2


def test_bands_of_packed_pixels_give_the_same() -> None:
    image = picture()
    row = 3 * WIDTH + 5
    packed = b"".join(image.crop((0, y, WIDTH, y + 1)).tobytes() + bytes(5) for y in range(HEIGHT))
    assert _reduced(memoryview(packed), image.size, row, FACTOR).tobytes() == image.reduce(FACTOR).tobytes()


@pytest.mark.parametrize(("mode", "kind"), [("RGB", "PNG"), ("RGBA", "PNG"), ("RGB", "TIFF"), ("LA", "PNG")])
def test_every_reader_gives_a_model_no_more_than_it_needs(mode: str, kind: str) -> None:
    file = io.BytesIO()
    picture().convert(mode).save(file, kind)
    assert decode(file.getvalue(), near=NEAR).size == (301, 227)
    assert decode(file.getvalue()).size == (WIDTH, HEIGHT)


def test_others_are_as_they_were() -> None:
    image = picture()
    assert smaller(image, None) is image
    assert smaller(image, 400) is image
    narrow = image.resize((150, 7000))
    assert smaller(narrow, NEAR) is narrow
