"""An image that takes long to decode is read alone, so that no other of its batch waits for it.

The same holds for many images that together take long: a task that exceeds its time limit is killed with its worker.
"""

from __future__ import annotations

import threading
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

    Thread-safe. It raises ``SlowInBatch`` in place of ``TooSlow``, and for each image that comes after ``budget_s``
    seconds (on the clock) have been spent on decoding.
    """
    watch = _Stopwatch()

    def one(data: bytes, *, max_pixels: int, **given: Any) -> tuple[list[Image.Image], Media]:
        with watch as spent:
            if spent > budget_s:
                raise SlowInBatch(f"decoding the images of a batch took {spent:.0f} s; the limit is {budget_s:g} s")
            try:
                return decode(data, max_pixels=max_pixels, **given)
            except TooSlow as exc:
                raise SlowInBatch(str(exc)) from exc

    return one


class _Stopwatch:
    """Runs while one thread at least is inside of it. Gives the seconds that it has run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._began = self._spent = 0.0

    def __enter__(self) -> float:
        with self._lock:
            now = time.monotonic()
            if not self._inside:
                self._began = now
            self._inside += 1
            return self._spent + now - self._began

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._spent += time.monotonic() - self._began
