"""An image that takes long to decode is read alone, so that no other of its batch waits for it.

The same holds for many images that together take long: a task that exceeds its time limit is killed with its worker.
"""

from __future__ import annotations

import time
from typing import Any

from PIL import Image

from tasks.images.decoder import Decoder
from tasks.images.errors import TooSlow
from tasks.message_parts import Media
from vectordb.errors import Permanent

DECODING = 0.4  # part of a task's time limit; the rest is for the last image, for fetching and encoding


class SlowInBatch(Permanent):
    """The images of a batch take too long. The policy sends each object of the batch again, alone."""


def splitting(decode: Decoder, budget_s: float) -> Decoder:
    """A decoder for one batch of several images.

    It raises ``SlowInBatch`` in place of ``TooSlow``, and for each image that comes after ``budget_s`` seconds (on
    the clock) have been spent on decoding.
    """
    spent = 0.0

    def one(data: bytes, *, max_pixels: int, **given: Any) -> tuple[list[Image.Image], Media]:
        nonlocal spent
        if spent > budget_s:
            raise SlowInBatch(f"decoding the images of a batch took {spent:.0f} s; the limit is {budget_s:g} s")
        began = time.monotonic()
        try:
            return decode(data, max_pixels=max_pixels, **given)
        except TooSlow as exc:
            raise SlowInBatch(str(exc)) from exc
        finally:
            spent += time.monotonic() - began

    return one
