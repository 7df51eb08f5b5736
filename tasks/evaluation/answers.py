"""What a method says of a picture, and what a method is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from tasks.messages import Embedded, Hit, Tag

SHOWN = 5  # tags an answer at the most


@dataclass(frozen=True)
class Answer:
    """``tags``: best first, empty for *unknown*. ``captions``: the texts that ``Tag.evidence`` points to.

    ``candidates``: among how many labels the method chose.
    """

    tags: tuple[Tag, ...]
    captions: tuple[str, ...] = ()
    similarities: tuple[float | None, ...] = ()
    candidates: int = 1

    @property
    def label(self) -> str | None:
        """The best tag; ``None`` for *unknown*."""
        return self.tags[0].label if self.tags else None


@dataclass(frozen=True)
class Pictures:
    """A batch as the embedding stage gave it, and a way to its pixels for those who need more than vectors."""

    embedded: Embedded
    decode: Callable[[], Sequence[Image.Image]]


class Method(Protocol):
    """A way to label pictures."""

    @property
    def name(self) -> str: ...

    def prepare(self) -> None:
        """What is paid once, before the first picture."""
        ...

    def answer(self, batch: Pictures) -> list[Answer]:
        """One answer a picture, in their order."""
        ...


def shown(hits: Sequence[Hit]) -> tuple[tuple[str, ...], tuple[float | None, ...]]:
    """Retrieved captions as an answer shows them."""
    return tuple(hit.caption for hit in hits), tuple(hit.similarity for hit in hits)
