"""The interface of evaluation methods, and their answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from tasks.message_parts import Hit, Tag
from tasks.messages import Embedded

SHOWN = 5  # maximum number of tags per answer


@dataclass(frozen=True)
class Answer:
    """``tags``: best first, empty for *unknown*. ``captions``: the texts that ``Tag.evidence`` points to.

    ``candidates``: the number of labels the method chose from. ``shown``: the tags that the thresholds leave;
    ``None`` for a method without thresholds. ``scored``: all tags, if the method gives confidences.
    """

    tags: tuple[Tag, ...]
    captions: tuple[str, ...] = ()
    similarities: tuple[float | None, ...] = ()
    candidates: int = 1
    shown: tuple[Tag, ...] | None = None
    scored: tuple[Tag, ...] = ()

    @property
    def label(self) -> str | None:
        """The best tag; ``None`` for *unknown*."""
        return self.tags[0].label if self.tags else None


@dataclass(frozen=True)
class Pictures:
    """An embedded batch, with access to the pixels for methods that need more than vectors."""

    embedded: Embedded
    decode: Callable[[], Sequence[Image.Image]]


class Method(Protocol):
    """A method that labels images."""

    @property
    def name(self) -> str: ...

    def prepare(self) -> None:
        """One-time preparation before the first image."""
        ...

    def answer(self, batch: Pictures) -> list[Answer]:
        """One answer per image, in order."""
        ...


def shown(hits: Sequence[Hit]) -> tuple[tuple[str, ...], tuple[float | None, ...]]:
    """Retrieved captions in the form an answer stores them."""
    return tuple(hit.caption for hit in hits), tuple(hit.similarity for hit in hits)
