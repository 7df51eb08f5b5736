"""Teaching: adds captions to a version in use and removes them. They store who added them and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from tasks.encoders.protocols import TextEncoder
from vectordb.captions import SOURCE, Caption, caption_id
from vectordb.cleaning import cleaned
from vectordb.errors import Permanent
from vectordb.index import CaptionIndex, Floats

TAUGHT = "taught"  # the default source
_NEAR = 5  # the nearest captions to a caption: itself, and others with nearly the same vector
ADDED = "added"  # payload key of the time of addition, ISO 8601


class EmptyCaption(Permanent):
    """A caption without text."""


class NotTaught(Permanent):
    """The caption does not exist, or belongs to an import."""


@dataclass(frozen=True)
class Taught:
    """The captions that were added, with their vectors (n, dimension), and those that existed and stay unchanged."""

    added: tuple[Caption, ...]
    known: tuple[Caption, ...]
    vectors: Floats


@dataclass(frozen=True)
class Removed:
    """The captions that were removed, with their vectors (n, dimension)."""

    captions: tuple[Caption, ...]
    vectors: Floats


def teach(
    index: CaptionIndex,
    encoder: Callable[[], TextEncoder],
    texts: Sequence[str],
    now: datetime,
    source: str = TAUGHT,
    *,
    dry: bool = False,
    before: Callable[[Floats], object] = lambda _: None,
) -> Taught:
    """Add captions, searchable at once. ``encoder`` is called if there is something to encode.

    ``dry``: only tell what would be added. ``before``: called with the vectors (n, dimension) of new captions before
    they are added; if it raises, nothing is added.

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
    vectors = np.empty((0, index.dimension), np.float32)
    if fresh:
        vectors = encoder().encode([caption.text for caption in fresh])
        before(vectors)
        if not dry:
            index.add(fresh, vectors)
    return Taught(tuple(fresh), tuple(known.values()), vectors)


def taught(index: CaptionIndex, source: str = TAUGHT) -> list[Caption]:
    """The captions of one source, newest first."""
    found = [caption for page, _ in index.pages(source) for caption in page]
    return sorted(found, key=lambda caption: str(caption.payload.get(ADDED, "")), reverse=True)


def remove_taught(
    index: CaptionIndex,
    captions: Sequence[str],
    encoder: Callable[[], TextEncoder],
    *,
    before: Callable[[Floats], object] = lambda _: None,
) -> Removed:
    """Remove captions, each given by its text or its id in hexadecimal. Raises ``NotTaught``, then removes none.

    ``encoder`` is called if there is something to remove, for the captions' vectors. ``before``: as for ``teach``.
    """
    ids = [_id(caption) for caption in captions]
    found = {caption.id: caption for caption in index.get(ids)}
    for number, asked in zip(ids, captions, strict=True):
        if number not in found:
            raise NotTaught(f"there is no caption {asked!r}")
        if SOURCE not in found[number].payload:
            raise NotTaught(f"the caption {asked!r} was not taught: it belongs to the import that added it")
    gone = tuple(found.values())
    vectors = _vectors(index, gone, encoder)
    before(vectors)
    index.remove(list(found))
    return Removed(gone, vectors)


def _vectors(index: CaptionIndex, captions: Sequence[Caption], encoder: Callable[[], TextEncoder]) -> Floats:
    """The vectors (n, dimension) of captions as they are stored: an encoder may return slightly different ones."""
    if not captions:
        return np.empty((0, index.dimension), np.float32)
    rows = np.array(encoder().encode([caption.text for caption in captions]))
    for place, found in enumerate(index.search(rows, _NEAR)):
        same = [at for at, near in enumerate(found.captions) if near.id == captions[place].id]
        if same:
            rows[place] = found.vectors[same[0]]
    return rows


def _id(caption: str) -> int:
    """Sixteen hexadecimal digits are an id; everything else is a text."""
    if len(caption) == 16:
        try:
            return int(caption, 16)
        except ValueError:
            pass
    return caption_id(cleaned(caption))
