"""The validated parts of all kinds of snapshots: a manifest, pages of captions, and their vectors."""

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
from vectordb.decoders import converted
from vectordb.index import Floats
from vectordb.library import BadSnapshot, Manifest, split
from vectordb.zstd import ZstdError

SMALL = 1 << 20  # maximum bytes of a manifest and similar members
PAGE_MAX = 256 * 2**20  # maximum bytes of a page's texts and payloads
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
    """Translates any error over a damaged or foreign file to ``BadSnapshot``."""
    try:
        yield
    except BadSnapshot:
        raise
    except (
        BadArchive, ZstdError, EOFError, FileNotFoundError, IsADirectoryError, KeyError, TypeError, ValueError,
        RecursionError,
    ) as exc:  # fmt: skip
        raise BadSnapshot(f"this is not a complete snapshot of captions: {exc}") from exc


def manifest_of(data: object) -> Manifest:
    """A manifest from JSON values, with valid folder names. Raises ``BadSnapshot``, ``UnsafeName``."""
    try:
        manifest = converted(data, Manifest)
    except msgspec.ValidationError as exc:
        raise BadSnapshot(f"this is not a manifest of captions: {exc}") from exc
    split(manifest.captions_version)
    try:
        zoned = datetime.fromisoformat(manifest.created).tzinfo is not None
    except ValueError:
        zoned = False
    if not zoned:
        raise BadSnapshot(
            f"this is not a manifest of captions: {manifest.created[:40]!r} is not a time with a time zone"
        )
    if manifest.count < 0 or not 0 < manifest.dimension <= DIMENSION_MAX:
        raise BadSnapshot("this is not a manifest of captions: its numbers are inconsistent")
    return manifest


def captions_of(data: bytes, after: int) -> list[Caption]:
    """The captions of a page: a JSON list of ``[id, text, payload]``, with ids above ``after``."""
    # parsed values take many times the memory of the text
    if data.count(b"[") + data.count(b"{") > 64 * CAPTIONS_MAX or data.count(b",") > 512 * CAPTIONS_MAX:
        raise BadSnapshot("a page holds more values than captions can have")
    rows = json.loads(data)
    if not isinstance(rows, list) or not 0 < len(rows) <= CAPTIONS_MAX:
        raise BadSnapshot("a page holds no captions")
    captions = [_caption(row) for row in rows]
    for caption in captions:
        if not after < caption.id < 2**64:
            raise BadSnapshot("the captions are not in order, or one occurs twice")
        after = caption.id
    check_texts(captions)
    return captions


def check_texts(captions: Sequence[Caption]) -> None:
    """Check that ids match their texts, which detects damage without a checksum. Raises ``BadSnapshot``."""
    if any(caption_id(caption.text) != caption.id for caption in captions):
        raise BadSnapshot("a caption and its id do not match")


def check_vectors(vectors: Floats) -> None:
    """Check that all vectors have unit length, as libraries store no others. Raises ``BadSnapshot``."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(vectors, axis=1)
    if not (np.abs(lengths - 1) < 1e-3).all():  # written so that NaN fails too
        raise BadSnapshot("a vector is not of unit length")


def _caption(row: Any) -> Caption:
    number, text, payload = row
    if type(number) is not int or not isinstance(text, str) or not isinstance(payload, dict):
        raise BadSnapshot("a page holds an entry that is not a caption")
    return Caption(number, text, cast("Mapping[str, object]", payload))


def vectors_of(data: bytes | memoryview, count: int, dimension: int) -> Floats:
    """A page's (count, dimension) vectors from little-endian float32. Raises ``BadSnapshot``."""
    if len(data) != 4 * count * dimension:
        raise BadSnapshot("the numbers of captions and vectors do not match")
    vectors = np.frombuffer(data, dtype="<f4").astype(np.float32, copy=False).reshape(count, dimension)
    check_vectors(vectors)
    return vectors
