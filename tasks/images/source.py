"""What the reader of a format hands to ``decode``: pixels as stored, and what is known about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image

from tasks.images import limits
from tasks.images.structure import Structure
from tasks.message_parts import MediaWarning


@dataclass(frozen=True)
class Told:
    """What a video tells other than by EXIF; see ``tasks.message_parts.Media``. ``place``: latitude, longitude."""

    taken_at: str | None = None
    camera: str | None = None
    place: tuple[float, float] | None = None


@dataclass
class Source:
    """An opened image. ``load`` decodes it; nothing is decoded before. Of a video it returns the views.

    ``format``: its name. ``width`` and ``height``: of the stored pixels. ``turned``: orientation that is still to be
    applied; ``load`` may set it. ``exif``, ``told``: for the metadata. ``preview``: whether the pixels are a preview
    inside a camera raw file. ``warnings``: for the metadata; ``load`` may add some. ``needs``: the bytes that
    ``load`` takes at most, about; 0: as many as most readers take.
    """

    format: str
    width: int
    height: int
    load: Callable[[], Image.Image | list[Image.Image]]
    turned: int = 1
    frames: int = 1
    exif: Structure | None = field(default=None, repr=False)
    preview: bool = False
    told: Told = Told()
    warnings: list[MediaWarning] = field(default_factory=list)
    needs: int = 0

    @property
    def memory(self) -> int:
        """Bytes that decoding takes at most, about."""
        return self.needs or limits.BYTES * self.width * self.height

    def warn(self, warning: MediaWarning | None) -> None:
        """Add a warning, if there is one."""
        if warning is not None:
            self.warnings.append(warning)
