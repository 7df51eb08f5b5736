"""Converts images to the squares that a classifier of photographs expects.

Photographs are stretched to the square: nothing is cropped, and up to 2 to 1 this hardly affects the classifier.
Images on white (cut-outs, products, drawings) keep their aspect ratio and get a margin.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

_NEARLY_WHITE = 240
_MARGIN = 0.9  # the longer side of an image on white, relative to the square's
_STRETCH = 2.0  # maximum stretch of the shorter side relative to the longer
_WHITE = (255, 255, 255)


def whiteness(image: Image.Image) -> float:
    """The share of an RGB image's border pixels that are white or nearly white."""
    width, height = image.size
    edges = [(0, 0, width, 1), (0, height - 1, width, height), (0, 0, 1, height), (width - 1, 0, width, height)]
    pixels = np.concatenate([np.asarray(image.crop(edge)).reshape(-1, 3) for edge in edges])
    return float((pixels >= _NEARLY_WHITE).all(axis=1).mean())


def framed(image: Image.Image, side: int, *, on_white: bool) -> Image.Image:
    """The whole image, centred in a square of ``side`` pixels; the rest is white."""
    width, height = image.size
    longest = max(width, height)
    if on_white:
        target = tuple(max(1, round(side * _MARGIN * length / longest)) for length in (width, height))
    else:
        target = tuple(max(1, round(side * min(1.0, _STRETCH * length / longest))) for length in (width, height))
    small = image.resize((target[0], target[1]), Image.Resampling.BICUBIC, reducing_gap=3.0)
    if small.size == (side, side):
        return small
    square = Image.new("RGB", (side, side), _WHITE)
    square.paste(small, ((side - target[0]) // 2, (side - target[1]) // 2))
    return square
