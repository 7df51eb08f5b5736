"""Teaching: captions that people add to a version in use, and take back. They carry who added them and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from tasks.encoders.protocols import TextEncoder
from vectordb.captions import SOURCE, Caption, caption_id
from vectordb.cleaning import cleaned
from vectordb.errors import Permanent
from vectordb.index import CaptionIndex

TAUGHT = "taught"  # the source where none is named
ADDED = "added"  # the payload's key for when, ISO 8601


class NothingToSay(Permanent):
    """A caption without a word."""


class NotTaught(Permanent):
    """The caption is not there, or came with an import and belongs to it."""


@dataclass(frozen=True)
class Taught:
    """What was new, and what was there already and stays as it was."""

    added: tuple[Caption, ...]
    known: tuple[Caption, ...]


def teach(
    index: CaptionIndex, encoder: Callable[[], TextEncoder], texts: Sequence[str], now: datetime, source: str = TAUGHT
) -> Taught:
    """Add captions; they are found from now on. ``encoder`` is called when there is something to encode.

    Raises ``NothingToSay`` and has then added nothing.
    """
    payload = {SOURCE: source, ADDED: now.astimezone().isoformat(timespec="seconds")}
    captions: dict[int, Caption] = {}
    for text in texts:
        kept = cleaned(text)
        if not kept:
            raise NothingToSay(f"{text!r} is no caption: nothing is left of it without markup and control characters")
        caption = Caption.of(kept, **payload)
        captions.setdefault(caption.id, caption)
    known = {caption.id: caption for caption in index.get(list(captions))}
    fresh = [caption for caption in captions.values() if caption.id not in known]
    if fresh:
        index.add(fresh, encoder().encode([caption.text for caption in fresh]))
    return Taught(tuple(fresh), tuple(known.values()))


def taught(index: CaptionIndex, source: str = TAUGHT) -> list[Caption]:
    """The captions of one source, the newest first."""
    found = [caption for page, _ in index.pages(source) for caption in page]
    return sorted(found, key=lambda caption: str(caption.payload.get(ADDED, "")), reverse=True)


def take_back(index: CaptionIndex, captions: Sequence[str]) -> list[Caption]:
    """Take captions out, each named by its text or its id in hexadecimal. Raises ``NotTaught``; then all stay."""
    ids = [_id(caption) for caption in captions]
    found = {caption.id: caption for caption in index.get(ids)}
    for number, asked in zip(ids, captions, strict=True):
        if number not in found:
            raise NotTaught(f"there is no caption {asked!r}")
        if SOURCE not in found[number].payload:
            raise NotTaught(f"the caption {asked!r} was not taught: it belongs to the import it came with")
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
