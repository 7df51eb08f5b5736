"""What the reader of a format hands to ``decode``: pixels as stored, and what is known about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image

from tasks.images.structure import Structure


@dataclass
class Source:
    """An opened image. ``load`` decodes it; nothing is decoded before.

    ``format``: its name. ``width`` and ``height``: of the stored pixels. ``turned``: orientation that is still to be
    applied. ``exif``: for the metadata. ``preview``: whether the pixels are a preview inside a camera raw file.
    """

    format: str
    width: int
    height: int
    load: Callable[[], Image.Image]
    turned: int = 1
    frames: int = 1
    exif: Structure | None = field(default=None, repr=False)
    preview: bool = False
