"""Tries the models of a stage on something harmless: whether it fails for every object, or only for some.

An object that ends its process, or meets an unexpected error, may be to blame, or the model is. The same model on a
grey picture or a plain word tells which. A model that fails in this, too, would make the whole archive ``failed`` or
``dead``: its work pauses instead (``workers.stages.crash_guard``).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from tasks.cache import LRUCache
from tasks.encoders.protocols import ImageEncoder, TextEncoder
from tasks.extraction.stage import Extractor
from tasks.message_parts import Hit
from vectordb.errors import Transient, WildtagError
from vectordb.index import CaptionIndex
from workers.errors.rows import MODEL

SelfTest = Callable[[], object]
"""Raises what the model raises. May end the process, as the model may."""

WORDS = ("a photo of a cat",)


class ModelBroken(Transient):
    """The models of a stage fail for every object, so that objects wait."""

    service = MODEL


class InputFailed(WildtagError):
    """The runtime of a model fails for an object, and works for harmless input."""


def of_images(encoder: Callable[[], ImageEncoder]) -> SelfTest:
    """Encodes a grey picture. The encoder is loaded if it is not."""

    def test() -> None:
        model = encoder()
        model.encode([Image.new("RGB", (model.side, model.side), (128, 128, 128))])

    return test


def of_texts(encoder: Callable[[], TextEncoder]) -> SelfTest:
    """Encodes a few words."""
    return lambda: encoder().encode(WORDS)


def of_extraction(loaded: Callable[[], Extractor]) -> SelfTest:
    """Extracts the words of a caption that has to be parsed. The parser is loaded if it is not."""
    hits = [Hit(number, words, 1.0) for number, words in enumerate(WORDS)]
    return lambda: loaded().candidates([hits], LRUCache(len(hits)))


def of_captions(index: Callable[[], CaptionIndex]) -> SelfTest:
    """Searches the captions in use."""

    def test() -> None:
        captions = index()
        captions.search(np.full((1, captions.dimension), captions.dimension**-0.5, dtype=np.float32), 1)

    return test
