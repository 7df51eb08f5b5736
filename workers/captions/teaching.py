"""Teaching: adds captions to a version in use and removes them. They store who added them and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from tasks.encoders.protocols import TextEncoder
from vectordb.captions import SOURCE, Caption, caption_id
from vectordb.cleaning import cleaned
from vectordb.errors import Permanent
from vectordb.index import CaptionIndex

TAUGHT = "taught"  # the default source
ADDED = "added"  # payload key of the time of addition, ISO 8601


class EmptyCaption(Permanent):
    """A caption without text."""


class NotTaught(Permanent):
    """The caption does not exist, or belongs to an import."""


@dataclass(frozen=True)
class Taught:
    """The captions that were added, and those that existed and stay unchanged."""

    added: tuple[Caption, ...]
    known: tuple[Caption, ...]


def teach(
    index: CaptionIndex, encoder: Callable[[], TextEncoder], texts: Sequence[str], now: datetime, source: str = TAUGHT
) -> Taught:
    """Add captions, searchable at once. ``encoder`` is called if there is something to encode.

    Raises ``EmptyCaption``, and then adds nothing.
    """
    payload = {SOURCE: source, ADDED: now.astimezone().isoformat(timespec="seconds")}
    captions: dict[int, Caption] = {}
    for text in texts:
        kept = cleaned(text)
        if not kept:
            raise EmptyCaption(f"{text!r} is not a caption: it has no text apart from markup and control characters")
        caption = Caption.of(kept, **payload)
        captions.setdefault(caption.id, caption)
    known = {caption.id: caption for caption in index.get(list(captions))}
    fresh = [caption for caption in captions.values() if caption.id not in known]
    if fresh:
        index.add(fresh, encoder().encode([caption.text for caption in fresh]))
    return Taught(tuple(fresh), tuple(known.values()))


def taught(index: CaptionIndex, source: str = TAUGHT) -> list[Caption]:
    """The captions of one source, newest first."""
    found = [caption for page, _ in index.pages(source) for caption in page]
    return sorted(found, key=lambda caption: str(caption.payload.get(ADDED, "")), reverse=True)


def remove_taught(index: CaptionIndex, captions: Sequence[str]) -> list[Caption]:
    """Remove captions, each given by its text or its id in hexadecimal. Raises ``NotTaught``, then removes none."""
    ids = [_id(caption) for caption in captions]
    found = {caption.id: caption for caption in index.get(ids)}
    for number, asked in zip(ids, captions, strict=True):
        if number not in found:
            raise NotTaught(f"there is no caption {asked!r}")
        if SOURCE not in found[number].payload:
            raise NotTaught(f"the caption {asked!r} was not taught: it belongs to the import that added it")
    index.remove(list(found))
    return list(found.values())


def _id(caption: str) -> int:
    """Sixteen hexadecimal digits are an id; everything else is a text."""
    if len(caption) == 16:
        try:
            return int(caption, 16)
        except ValueError:
            pass
    return caption_id(cleaned(caption))
