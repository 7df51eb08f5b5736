"""Decides whether a person would accept a tag of an image, from the labels that people gave it.

A tag is right if it and a label are equal, or if one contains the other as whole words ("tabby cat" and "cat"), both
in the singular; or if the cosine of their sentence vectors is at least ``CLOSE``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from tasks.extraction.filters import singular
from tasks.message_parts import Floats

CLOSE = 0.6
_BETWEEN = re.compile(r"[\W_]+")


class Acceptance:
    """``encode``: texts → (n, d) unit vectors of the sentence model; called once per text."""

    def __init__(self, encode: Callable[[Sequence[str]], Floats]) -> None:
        self._encode = encode
        self._vectors: dict[str, Floats] = {}

    def right(self, tags: Sequence[str], labels: Sequence[str]) -> list[bool]:
        """For each tag whether it is right for an image with these labels."""
        self._learn([*tags, *labels])
        true = np.stack([self._vectors[label] for label in labels])
        return [
            any(shares_words(tag, label) for label in labels) or bool((true @ self._vectors[tag]).max() >= CLOSE)
            for tag in tags
        ]

    def _learn(self, texts: Sequence[str]) -> None:
        new = sorted(set(texts).difference(self._vectors))
        if new:
            self._vectors.update(zip(new, self._encode(new), strict=True))


def shares_words(tag: str, label: str) -> bool:
    """Whether one contains the other as whole words, in the singular and without regard to case."""
    ours, true = _words(tag), _words(label)
    return bool(ours and true) and (_inside(ours, true) or _inside(true, ours))


def _words(text: str) -> list[str]:
    return [singular(word) for word in _BETWEEN.split(text.lower()) if word]


def _inside(few: Sequence[str], many: Sequence[str]) -> bool:
    return any(list(many[at : at + len(few)]) == list(few) for at in range(len(many) - len(few) + 1))
