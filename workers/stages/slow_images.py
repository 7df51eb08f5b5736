"""An image that takes long to decode is read alone, so that no other of its batch waits for it."""

from __future__ import annotations

from typing import Any

from PIL import Image

from tasks.images.decoder import Decoder
from tasks.images.errors import TooSlow
from tasks.message_parts import Media
from vectordb.errors import Permanent


class SlowInBatch(Permanent):
    """An image of a batch took too long. The policy sends each object of the batch again, alone."""


def splitting(decode: Decoder) -> Decoder:
    """A decoder for a batch of several images, which raises ``SlowInBatch`` in place of ``TooSlow``."""

    def one(data: bytes, *, max_pixels: int, **given: Any) -> tuple[list[Image.Image], Media]:
        try:
            return decode(data, max_pixels=max_pixels, **given)
        except TooSlow as exc:
            raise SlowInBatch(str(exc)) from exc

    return one
