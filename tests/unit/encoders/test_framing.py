"""A picture on white keeps its shape and a margin, a photograph fills the square; no size is too odd."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tasks.encoders.framing import framed, whiteness


def extent(square: Image.Image) -> tuple[int, int]:
    """Width and height of what is not white."""
    dark = np.asarray(square.convert("L")) < 128
    return int(dark.any(axis=0).sum()), int(dark.any(axis=1).sum())


def test_on_white_the_shape_stays() -> None:
    square = framed(Image.new("RGB", (400, 200), "black"), 100, on_white=True)
    assert (square.size, extent(square)) == ((100, 100), (90, 45))


@pytest.mark.parametrize(
    ("size", "expected"), [((400, 200), (100, 100)), ((200, 300), (100, 100)), ((100, 800), (25, 100))]
)
def test_a_photograph_is_stretched_but_not_beyond_two_to_one(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert extent(framed(Image.new("RGB", size, "black"), 100, on_white=False)) == expected


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
@pytest.mark.parametrize("on_white", [True, False])
def test_any_size_gives_a_square(size: tuple[int, int], *, on_white: bool) -> None:
    assert framed(Image.new("RGB", size), 64, on_white=on_white).size == (64, 64)
    assert whiteness(Image.new("RGB", size)) == 0.0


def test_whiteness_is_that_of_the_edge() -> None:
    picture = Image.new("RGB", (100, 100), "white")
    picture.paste("black", (10, 10, 90, 90))
    assert whiteness(picture) == 1.0
    picture.paste("black", (0, 0, 100, 1))
    assert whiteness(picture) == pytest.approx(0.75, abs=0.01)
