"""Derives the thresholds of a caption version without labels (``tasks.thresholds``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.cache import LRUCache
from tasks.encoders.protocols import Floats, ImageEncoder, TextEncoder
from tasks.scoring import digest_of, encode_words
from tasks.thresholds.derived import Derived, Threshold
from tasks.thresholds.nearness import nearness
from tasks.thresholds.null_images import null_images
from tasks.thresholds.words import word_pairs, word_thresholds
from vectordb.errors import Permanent
from vectordb.index import CaptionIndex
from vectordb.starter.captions import pairs


@dataclass(frozen=True)
class Deriving:
    """Derives thresholds. The encoders are loaded when they are needed.

    ``prompts``: those with which words are encoded. ``limit``: captions retrieved for each image.
    """

    space_id: str
    text_encoder: Callable[[], TextEncoder]
    image_encoder: Callable[[], ImageEncoder]
    prompts: Sequence[str]
    limit: int

    def __call__(self, index: CaptionIndex) -> dict[str, object]:
        """The thresholds of the captions in an index, as JSON values. Reads all of its vectors once.

        An encoder that cannot be loaded, or fails, costs its thresholds only: they are off, with the reason.
        """
        synonym, head = self._words()
        unknown, evidence = self._nearness(index)
        return Derived(
            space_id=self.space_id, prompts=digest_of(self.prompts), unknown=unknown, evidence=evidence,
            synonym=synonym, head=head,
        ).stored()  # fmt: skip

    def _words(self) -> tuple[Threshold, Threshold]:
        known = word_pairs(pairs())
        words = known.words()
        try:
            vectors = encode_words(words, self.text_encoder(), LRUCache(len(words)), self.prompts)
        except Permanent as exc:
            return _failed("the text encoder", exc)
        if not _finite(vectors).all():
            return _off("the text encoder returned no finite vector for some words")
        return word_thresholds(known, dict(zip(words, vectors, strict=True)))

    def _nearness(self, index: CaptionIndex) -> tuple[Threshold, Threshold]:
        try:
            encoder = self.image_encoder()
            vectors = {kind: encoder.encode(images) for kind, images in null_images(encoder.side).items()}
        except Permanent as exc:
            return _failed("the image encoder", exc)
        finite = {kind: rows[_finite(rows)] for kind, rows in vectors.items()}
        return nearness(finite, _pages(index), self.limit)


def _pages(index: CaptionIndex) -> Iterator[tuple[list[int], Floats]]:
    for captions, vectors in index.pages():
        yield [caption.id for caption in captions], vectors


def _finite(vectors: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(vectors).all(axis=1), bool)


def _failed(what: str, exc: Permanent) -> tuple[Threshold, Threshold]:
    return _off(f"{what} failed: {exc}")


def _off(reason: str) -> tuple[Threshold, Threshold]:
    return Threshold(None, reason), Threshold(None, reason)
