"""Very long images (panoramas, screenshots): looked at in three squares, by all encoders alike.

Encoders take squares. An image up to ``LONG`` times as long as wide is left to the encoder as it is. A longer one
would be squeezed or cropped to its middle. It is seen through three windows instead, at its beginning, middle and
end, and its vector is the normalised mean of the windows' vectors. Up to a ratio of 9 the windows cover the whole
image. A window that is no square is put on one in the colour of its border. Only such images cost more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from tasks.encoders.framing import whiteness
from tasks.encoders.protocols import Floats
from tasks.encoders.views import encoded_views

LONG = 2.5  # ratio of the sides
EXTREME = 16.0
SMALLEST = 48  # pixels
_WINDOWS = 3
_LONGEST = 3.0  # ratio of a window's sides
_WHITE = (255, 255, 255)


def encoded_whole(images: Sequence[Image.Image], encode: Callable[[Sequence[Image.Image]], Floats]) -> Floats:
    """Encode RGB images by ``encode``, which returns (n, d) float32 of unit length; long ones through windows.

    Images that are not long are encoded exactly as ``encode`` does. Raises what ``encode`` raises.
    """
    if not any(is_long(image) for image in images):
        return encode(images)
    return encoded_views([windows(image) if is_long(image) else [image] for image in images], encode)


def is_long(image: Image.Image) -> bool:
    """Whether an image is more than ``LONG`` times as long as wide.

    Images less than ``SMALLEST`` pixels wide have no detail that windows could show, so they are long beyond
    ``EXTREME`` only, where an encoder that scales the shorter side first would fill the memory.
    """
    short, long = sorted(image.size)
    return long > (LONG if short >= SMALLEST else EXTREME) * short


def windows(image: Image.Image) -> list[Image.Image]:
    """Three squares that show the beginning, the middle and the end of a long image."""
    short, long = sorted(image.size)
    length = math.ceil(short * min(max(1.0, long / short / _WINDOWS), _LONGEST))
    wide = image.width == long
    found = []
    for at in range(_WINDOWS):
        begin = round((long - length) * at / (_WINDOWS - 1))
        box = (begin, 0, begin + length, short) if wide else (0, begin, short, begin + length)
        found.append(_squared(image.crop(box)))
    return found


def _squared(window: Image.Image) -> Image.Image:
    side = max(window.size)
    if window.size == (side, side):
        return window
    square = Image.new("RGB", (side, side), _WHITE if whiteness(window) > 0.5 else _border(window))
    square.paste(window, ((side - window.width) // 2, (side - window.height) // 2))
    return square


def _border(window: Image.Image) -> tuple[int, int, int]:
    """The mean colour of the border."""
    pixels = np.asarray(window)
    edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    red, green, blue = (int(value) for value in np.concatenate(edges).mean(axis=0).round())
    return red, green, blue
