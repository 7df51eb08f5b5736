"""The interface of what decodes images for the stages: this process, or others (``workers.decoding``)."""

from __future__ import annotations

from typing import Protocol

from PIL import Image

from tasks.message_parts import Media


class Decoder(Protocol):
    """Decodes untrusted bytes. ``tasks.images.decode_with_media`` is one that works in this process."""

    def __call__(
        self, data: bytes, *, max_pixels: int, near: int | None = None, gps: bool = False, video: bool = False
    ) -> tuple[list[Image.Image], Media]:
        """The views, upright, RGB, and what is known about the file: see ``decode_with_media``.

        Raises a ``BadImage``.
        """
        ...
