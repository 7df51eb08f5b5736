"""Colour profiles: converts pixels to sRGB through ICC profiles.

A profile that cannot be read, or that is for another kind of pixels, is passed over, as browsers do. One that is
sRGB in effect is recognised by converting a small table of colours, once per profile, and costs nothing afterwards.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from tasks.images.signalled import Signalled

_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
_SAME = 3  # a difference of that many levels cannot be seen
_STEPS = 6
_BAND = 2**22  # pixels that are converted at a time: an image of the largest size is not held twice
MOST_BYTES = 16 * 2**20  # of a profile; those of printing presses have about two million


Profile = bytes | Signalled
"""An ICC profile, or what a file says in its place."""


def to_srgb(image: Image.Image, profile: Profile | None) -> Image.Image:
    """An image of mode L, RGB or CMYK as RGB in sRGB; without a usable profile, by Pillow's plain conversion.

    The same image if nothing is to be changed: a copy of a large one takes half a gigabyte.
    """
    if isinstance(profile, Signalled):
        image = _as_rgb(image)
        if profile.profile is None:
            return profile.bright(image)
        profile = profile.profile
    if profile and len(profile) <= MOST_BYTES and image.mode in _SPACES:
        transform = _transform(profile, image.mode)
        if transform is not None:
            return _applied(image, transform)
    return _as_rgb(image)


def _as_rgb(image: Image.Image) -> Image.Image:
    return image if image.mode == "RGB" else image.convert("RGB")


def _applied(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    """The conversion in bands of rows, because Pillow holds three copies while it converts."""
    width, height = image.size
    rows = max(1, _BAND // max(1, width))
    if rows >= height:
        return transform.apply(image)
    made = Image.new("RGB", image.size)
    for top in range(0, height, rows):
        made.paste(transform.apply(image.crop((0, top, width, min(height, top + rows)))), (0, top))
    return made


@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform to sRGB; ``None`` if there is none, or if it would change nothing."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != _SPACES[mode]:
            return None
        intent = ImageCms.Intent(ImageCms.getDefaultIntent(source))
        if not ImageCms.isIntentSupported(source, intent, ImageCms.Direction.INPUT):
            intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        target = ImageCms.createProfile("sRGB")
        made = ImageCms.buildTransform(source, target, mode, "RGB", intent)
        table = _table(mode)
        if mode == "CMYK":
            made.apply(table)
            return made
        before = np.asarray(table.convert("RGB"), dtype=np.int16)
        after = np.asarray(made.apply(table), dtype=np.int16)
    except MemoryError:
        raise
    except Exception:  # the library raises several types for malformed profiles; the pixels are valid without it
        return None
    return made if np.abs(after - before).max() > _SAME else None


def _table(mode: str) -> Image.Image:
    """Colours of the whole space, as one row of pixels."""
    levels = np.linspace(0, 255, _STEPS).round().astype(np.uint8)
    channels = {"L": 1, "RGB": 3, "CMYK": 4}[mode]
    grid = np.stack(np.meshgrid(*[levels] * channels, indexing="ij"), axis=-1).reshape(1, -1, channels)
    return Image.fromarray(grid[..., 0]) if mode == "L" else Image.frombytes(mode, grid.shape[1::-1], grid.tobytes())
