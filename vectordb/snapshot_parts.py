"""What all kinds of snapshots are made of, checked: a manifest, pages of captions, and their vectors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol, cast

import msgspec
import numpy as np

from vectordb.archive import BadArchive
from vectordb.captions import Caption, caption_id
from vectordb.index import Floats
from vectordb.library import BadSnapshot, Manifest, split
from vectordb.zstd import ZstdError

SMALL = 1 << 20  # bytes at the most of a manifest and the like
PAGE_MAX = 256 * 2**20  # bytes at the most of a page's texts and payloads
CAPTIONS_MAX = 1 << 16  # of one page
DIMENSION_MAX = 1 << 16


class Saved(Protocol):
    """A snapshot that is being read."""

    @property
    def manifest(self) -> Manifest: ...

    def pages(self) -> Iterator[tuple[list[Caption], Floats]]:
        """All captions with their vectors, in the order of ids. Raises ``BadSnapshot``, possibly at the end."""
        ...


@contextmanager
def understood() -> Iterator[None]:
    """``BadSnapshot`` for whatever a file that we did not write, or that is damaged, is bound to raise."""
    try:
        yield
    except BadSnapshot:
        raise
    except (
        BadArchive, ZstdError, EOFError, FileNotFoundError, IsADirectoryError, KeyError, TypeError, ValueError,
        RecursionError,
    ) as exc:  # fmt: skip
        raise BadSnapshot(f"this is not a whole snapshot of captions: {exc}") from exc


def manifest_of(data: object) -> Manifest:
    """A manifest from JSON's values, whose names can name folders. Raises ``BadSnapshot``, ``UnsafeName``."""
    try:
        manifest = msgspec.convert(data, Manifest)
    except msgspec.ValidationError as exc:
        raise BadSnapshot(f"this is no manifest of captions: {exc}") from exc
    split(manifest.captions_version)
    try:
        zoned = datetime.fromisoformat(manifest.created).tzinfo is not None
    except ValueError:
        zoned = False
    if not zoned:
        raise BadSnapshot(f"this is no manifest of captions: {manifest.created[:40]!r} is no time with a zone")
    if manifest.count < 0 or not 0 < manifest.dimension <= DIMENSION_MAX:
        raise BadSnapshot("this is no manifest of captions: its numbers make no sense")
    return manifest


def captions_of(data: bytes, after: int) -> list[Caption]:
    """The captions of a page: JSON's list of ``[id, text, payload]``, by ids above ``after``."""
    # what a parser makes of them takes many times as much memory as the text
    if data.count(b"[") + data.count(b"{") > 64 * CAPTIONS_MAX or data.count(b",") > 512 * CAPTIONS_MAX:
        raise BadSnapshot("a page holds more values than captions have")
    rows = json.loads(data)
    if not isinstance(rows, list) or not 0 < len(rows) <= CAPTIONS_MAX:
        raise BadSnapshot("a page holds no captions")
    captions = [_caption(row) for row in rows]
    for caption in captions:
        if not after < caption.id < 2**64:
            raise BadSnapshot("the captions are not in their order, or one is in it twice")
        after = caption.id
    check_texts(captions)
    return captions


def check_texts(captions: Sequence[Caption]) -> None:
    """An id follows from its text, which tells of damage where there is no checksum. Raises ``BadSnapshot``."""
    if any(caption_id(caption.text) != caption.id for caption in captions):
        raise BadSnapshot("a caption and its id do not belong together")


def check_vectors(vectors: Floats) -> None:
    """All are of unit length, since homes keep no others. Raises ``BadSnapshot``."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(vectors, axis=1)
    if not (np.abs(lengths - 1) < 1e-3).all():  # what is no number is not below it either
        raise BadSnapshot("a vector is not of unit length")


def _caption(row: Any) -> Caption:
    number, text, payload = row
    if type(number) is not int or not isinstance(text, str) or not isinstance(payload, dict):
        raise BadSnapshot("a page holds something that is no caption")
    return Caption(number, text, cast("Mapping[str, object]", payload))


def vectors_of(data: bytes | memoryview, count: int, dimension: int) -> Floats:
    """A page's (count, dimension) vectors from little-endian float32. Raises ``BadSnapshot``."""
    if len(data) != 4 * count * dimension:
        raise BadSnapshot("captions and vectors do not belong together")
    vectors = np.frombuffer(data, dtype="<f4").astype(np.float32, copy=False).reshape(count, dimension)
    check_vectors(vectors)
    return vectors
