"""Thumbnails: a smaller image, encoded anew, so that no byte of the original file is in it."""

from __future__ import annotations

import io

from PIL import Image

QUALITY, EFFORT = 75, 2


def webp(image: Image.Image, side: int) -> bytes:
    """An RGB image as a WebP of at most ``side`` pixels per side."""
    image.thumbnail((side, side))
    file = io.BytesIO()
    image.save(file, "WEBP", quality=QUALITY, method=EFFORT)
    return file.getvalue()
