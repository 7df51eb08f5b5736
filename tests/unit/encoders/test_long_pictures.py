"""A very long image is seen from end to end, at full height; others are encoded exactly as before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from tasks.encoders.long_pictures import encoded_whole, is_long, windows
from tasks.encoders.protocols import Floats


def encode(images: Sequence[Image.Image]) -> Floats:
    """The mean colour as a unit vector, of images that are nearly square."""
    assert all(not is_long(image) for image in images)
    means = np.array([np.asarray(image).reshape(-1, 3).mean(axis=0) + 1 for image in images], dtype=np.float32)
    unit: Floats = means / np.linalg.norm(means, axis=1, keepdims=True)
    return unit


def striped(*colours: str, width: int = 200, height: int = 100) -> Image.Image:
    image = Image.new("RGB", (width * len(colours), height))
    for at, colour in enumerate(colours):
        image.paste(colour, (at * width, 0, (at + 1) * width, height))
    return image


@pytest.mark.parametrize("size", [(1, 1), (250, 100), (100, 250), (300, 200), (90, 30), (32, 500)])
def test_other_images_are_encoded_as_they_are(size: tuple[int, int]) -> None:
    seen: list[Sequence[Image.Image]] = []

    def spy(images: Sequence[Image.Image]) -> Floats:
        seen.append(images)
        return encode(images)

    images = [Image.new("RGB", size, "red")] * 2
    assert np.array_equal(encoded_whole(images, spy), encode(images))
    assert seen == [images]


@pytest.mark.parametrize("size", [(251, 100), (100, 251), (900, 100), (300, 1), (1, 5000), (6000, 120)])
def test_a_long_image_is_seen_through_three_squares(size: tuple[int, int]) -> None:
    found = windows(Image.new("RGB", size, "teal"))
    assert len(found) == 3
    assert all(one.width == one.height >= min(size) for one in found)


def test_the_windows_show_beginning_middle_and_end() -> None:
    image = striped("red", "lime", "blue", width=100)
    for window, colour in zip(windows(image), ("red", "lime", "blue"), strict=True):
        assert window.getcolors() == Image.new("RGB", (100, 100), colour).getcolors()
    for turned in (image.rotate(90, expand=True),):
        assert [one.getpixel((50, 50)) for one in windows(turned)] == [(0, 0, 255), (0, 255, 0), (255, 0, 0)]


def test_up_to_nine_to_one_nothing_is_left_out() -> None:
    for parts in range(3, 10):
        image = Image.new("RGB", (parts * 100, 100), "black")
        image.putdata([(x % 256, x // 256, 7) for _ in range(100) for x in range(parts * 100)])
        shown = set()
        for window in windows(image):
            pixels = np.asarray(window).reshape(-1, 3)
            shown |= {(int(r), int(g), int(b)) for r, g, b in pixels[pixels[:, 2] == 7]}
        assert shown == {(x % 256, x // 256, 7) for x in range(parts * 100)}


def test_the_vector_is_the_normalised_mean_and_order_is_kept() -> None:
    long, short = striped("red", "lime", "blue"), Image.new("RGB", (50, 40), "yellow")
    found = encoded_whole([short, long, short], encode)
    assert np.array_equal(found[[0, 2]], encode([short, short]))
    mean = encode(windows(long)).mean(axis=0)
    np.testing.assert_allclose(found[1], mean / np.linalg.norm(mean), atol=1e-6)


def test_on_white_the_squares_are_white() -> None:
    image = Image.new("RGB", (600, 100), "white")
    image.paste("black", (20, 20, 580, 80))
    assert all(window.getpixel((0, 0)) == (255, 255, 255) for window in windows(image))
