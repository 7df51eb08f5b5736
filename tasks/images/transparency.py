"""Transparency: puts an image on a background on which it shows.

The background is white, as in a browser, unless nearly all that can be seen is so light that it would vanish on
white (white logos and icons): then it is dark grey. Opacity 0 everywhere is taken for none if the hidden colours
show something: several programs leave the channel empty (BMP, TIFF, screenshots), and viewers ignore it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

_WHITE = (255, 255, 255)
_DARK = (64, 64, 64)
_LIGHT = 220  # luma of what hardly shows on white
_SHOWN = 0.06  # share of the visible part that has to be darker than that
_BAND = 2**22  # pixels that are put on a background at a time
_CLEAR = 0.02  # share of the image that has to be transparent for the background to matter


def flattened(image: Image.Image, opacity: Image.Image, *, animated: bool = False) -> Image.Image:
    """An RGB image with its opacity (mode L) on a background. ``animated``: it is one of several frames.

    A frame that is transparent everywhere shows nothing, whatever colours it hides. The image itself is changed.
    """
    low, high = _extrema(opacity)
    if low == 255:
        return image
    if high == 0 and not animated and not one_colour(image):
        return image
    colour = _background(image, opacity)
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        place = (0, top, image.width, min(image.height, top + rows))
        background = Image.new("RGB", (image.width, place[3] - top), colour)
        background.paste(image.crop(place), (0, 0), opacity.crop(place))
        image.paste(background, place)
    return image


def one_colour(image: Image.Image, tolerance: int = 0) -> bool:
    """Whether no channel of an RGB image spans more than ``tolerance`` levels."""
    extrema = image.getextrema()
    pairs: Any = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return all(high - low <= tolerance for low, high in pairs)


def _extrema(opacity: Image.Image) -> tuple[int, int]:
    found: Any = opacity.getextrema()
    return int(found[0]), int(found[1])


def _background(image: Image.Image, opacity: Image.Image) -> tuple[int, int, int]:
    step = max(1, max(image.size) // 512)
    size = (max(1, image.width // step), max(1, image.height // step))
    weight = np.asarray(opacity.resize(size, Image.Resampling.NEAREST), dtype=np.float64) / 255.0
    luma = np.asarray(image.resize(size, Image.Resampling.NEAREST).convert("L"))
    visible = weight.sum()
    if visible == 0 or (weight < 0.5).mean() < _CLEAR:
        return _WHITE
    return _WHITE if weight[luma < _LIGHT].sum() / visible >= _SHOWN else _DARK
