"""A real worker that does harm to itself: over yellow pictures, over a caption, or over everything."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from tasks.cache import Cache
from tasks.extraction import extractor
from tasks.message_parts import Hit
from tests.contract.segmenting_world import Versions
from tests.unit.segmentation.world import CHOICES, SPACE, Colours
from workers.processes import worker
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring

YELLOW = (240, 240, 20)
CAPTION = "a tabby"


def segfault() -> None:
    """As a fault in a library."""
    os.kill(os.getpid(), signal.SIGSEGV)


def hang() -> None:
    """Longer than any test."""
    time.sleep(1000)  # until the time limit ends it


def eat() -> None:
    """Memory, until it is stopped."""
    taken = []
    while True:
        taken.append(np.ones(5_000_000))
        time.sleep(0.02)  # as fast as the watch can follow


HARM = {"segfault": segfault, "hang": hang, "eat": eat}


class Poisoned(Colours):
    """Encodes colours."""

    def __init__(self, harm: str, *, always: bool) -> None:
        super().__init__()
        self._harm, self._always = HARM[harm], always

    def encode(self, images: Sequence[Image.Image]) -> Any:
        """See ``ImageEncoder``."""
        for image in images:
            red, green, blue = np.asarray(image.convert("RGB")).reshape(-1, 3).mean(0)
            if self._always or (red > 200 and green > 200 and blue < 80):
                self._harm()
        return super().encode(images)


class PoisonedPhrases:
    """Extracts the phrases of captions."""

    def __init__(self, harm: str, *, always: bool) -> None:
        self._harm, self._always = HARM[harm], always
        self._extractor = extractor()

    def warm(self) -> None:
        """See ``Extractor``."""
        self._extractor.warm()

    def candidates(self, retrieved: Sequence[Sequence[Hit]], cache: Cache) -> Any:
        """See ``Extractor``."""
        if self._always or any(hit.caption == CAPTION for hits in retrieved for hit in hits):
            self._harm()
        return self._extractor.candidates(retrieved, cache)


def main(harm: str, always: str, what: str = "picture") -> None:
    """Work until it is stopped. The settings are in the environment. ``what``: picture or caption."""
    make = Wiring.__init__

    def made(wiring: Any, settings: Settings, *more: Any) -> None:
        make(wiring, settings, *more)
        vars(wiring).update(
            space=SPACE, image_encoder=Poisoned(harm, always=bool(always)), pipeline_options=CHOICES,
            chosen=lambda: "captions@1", encoders=SimpleNamespace(look=lambda: SPACE.id),
        )  # fmt: skip
        if what == "caption":
            vars(wiring).update(
                image_encoder=Colours(), extractor=PoisonedPhrases(harm, always=bool(always)), indexes=Versions(),
                reference_vectors=None, confidence_model=None,
            )  # fmt: skip

    wiring_class: Any = Wiring
    wiring_class.__init__ = made
    worker.in_use = lambda settings: settings  # type: ignore[attr-defined]
    worker.run_worker(Settings(), ["embedding"] if what == "picture" else ["embedding", "retrieval", "extraction"], 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
