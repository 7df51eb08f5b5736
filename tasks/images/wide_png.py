"""PNG with 16 bits per sample. Pillow keeps 16 bits of plain greys only, and the upper 8 bits of other kinds.

That is right for samples that use their range. Where they do not (12 bits of a sensor in 16), the lower bits are the
picture: imagecodecs reads them, where it is installed; without it, and in animations, the upper bits are scaled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from tasks.images.colour import to_srgb
from tasks.images.depth import bounds, to_bytes
from tasks.images.png import Cleaned
from tasks.images.samples import to_rgb
from tasks.images.transparency import flattened

_GREY, _RGB, _GREY_ALPHA, _RGBA = 0, 2, 4, 6
_QUARTER = 64


def deepened(image: Any, parts: Cleaned, *, animated: bool = False) -> Image.Image:
    """An opened and loaded PNG with 16 bits as RGB. ``animated``: it is one of several frames."""
    told = parts.significant if parts.significant in range(1, 17) else None
    if parts.kind == _GREY:
        return to_rgb(image, parts.profile, animated=animated, fewer=told)
    if parts.kind not in {_RGB, _GREY_ALPHA, _RGBA} or image.mode not in {"RGB", "LA", "RGBA"}:
        return to_rgb(image, parts.profile, animated=animated)
    colours = 1 if parts.kind == _GREY_ALPHA else 3
    if max(high for _, high in image.getextrema()[:colours]) >= _QUARTER:
        return to_rgb(image, parts.profile, animated=animated)
    exact = None if animated else _exact(parts.data, image.size[::-1])
    array = np.asarray(image) if exact is None else exact
    values = array[..., :colours]
    if exact is None:  # as if the lower bits were like the upper ones, but no multiples of 257
        values = (values.astype(np.uint16) << 8) + (values | 1)
    scaled = to_bytes(values, fewer=told)
    held = int(bounds(values, fewer=told)[1]) >> (8 if exact is None else 0)
    opacity = None if parts.kind == _RGB else array[..., -1].copy()
    del exact, array, values  # half of the memory
    made = to_srgb(Image.fromarray(scaled[..., 0] if colours == 1 else scaled), parts.profile)
    if opacity is None:
        return made
    if 0 < opacity.max() == held < np.iinfo(opacity.dtype).max:  # it holds as few bits as the colours
        opacity = np.rint(opacity / held * 255).astype(np.uint8)
        return flattened(made, Image.fromarray(opacity), animated=animated)
    return flattened(made, image.getchannel("A"), animated=animated)


def _exact(data: bytes, shape: tuple[int, ...]) -> Any:
    """All 16 bits, of shape (height, width, samples); ``None`` if they cannot be had."""
    try:
        import imagecodecs  # noqa: PLC0415 - an extra

        array = imagecodecs.png_decode(data)
    except MemoryError:
        raise
    except Exception:  # not installed, or an error of its own; Pillow has read the picture
        return None
    return array if array.ndim == 3 and array.shape[:2] == shape and array.dtype == np.uint16 else None
