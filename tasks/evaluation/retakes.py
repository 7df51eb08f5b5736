"""Other views of a photograph: crops, a mirror image, other exposures, a small copy and turned ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from PIL import Image, ImageOps

Retake = Callable[[Image.Image], Image.Image]
_INSIDE = 0.99  # share of the largest part of a turned image that has no empty corner


def cropped(image: Image.Image, share: float, across: float, down: float) -> Image.Image:
    """A part of an image. ``share``: of its width and of its height. ``across``, ``down``: 0 is left and top, 1 right
    and bottom.
    """
    width, height = round(image.width * share), round(image.height * share)
    left, top = round((image.width - width) * across), round((image.height - height) * down)
    return image.crop((left, top, left + width, top + height))


def exposed(image: Image.Image, factor: float) -> Image.Image:
    """An RGB image with every level multiplied by ``factor``, at most 255."""
    return image.point([min(255, round(level * factor)) for level in range(256)] * 3)


def turned(image: Image.Image, degrees: float) -> Image.Image:
    """An image turned by a few degrees, cut so that no empty corner shows."""
    angle = math.radians(abs(degrees))
    narrow = min(image.size) / max(image.size)
    share = _INSIDE / (math.cos(angle) + math.sin(angle) / narrow)
    return cropped(image.rotate(degrees, Image.Resampling.BICUBIC), share, 0.5, 0.5)


def shrunk(image: Image.Image, side: int) -> Image.Image:
    """An image whose longest side is at most ``side`` pixels."""
    small = image.copy()
    small.thumbnail((side, side))
    return small


def _mixed(image: Image.Image) -> Image.Image:
    return exposed(cropped(ImageOps.mirror(image), 0.88, 0.3, 0.7), 0.85)


RETAKES: Mapping[str, Retake] = MappingProxyType(
    {
        "crop 95 % centre": partial(cropped, share=0.95, across=0.5, down=0.5),
        "crop 90 % top left": partial(cropped, share=0.9, across=0.0, down=0.0),
        "crop 85 % bottom right": partial(cropped, share=0.85, across=1.0, down=1.0),
        "crop 80 % centre": partial(cropped, share=0.8, across=0.5, down=0.5),
        "crop 80 % top right": partial(cropped, share=0.8, across=1.0, down=0.0),
        "mirrored": ImageOps.mirror,
        "exposure x 0.7": partial(exposed, factor=0.7),
        "exposure x 1.4": partial(exposed, factor=1.4),
        "320 pixels": partial(shrunk, side=320),
        "turned by 3 degrees": partial(turned, degrees=3),
        "turned by -5 degrees": partial(turned, degrees=-5),
        "mirrored, crop 88 %, exposure x 0.85": _mixed,
    }
)
"""Each takes an RGB image."""
