"""How an image is stored as a point of Qdrant: the names of its vectors, and its payload.

============  ==================================================================================================
``image``     dense vector: the image's
``words``     sparse vector: what the image is found by, see ``vectordb.images.word_id``
``bucket``    keyword, indexed
``key``       keyword, indexed; a key that is not UTF-8 with replacement characters, and ``raw_key`` as hexadecimal
``etag``      of the version whose vector this is
``captions``  captions version, keyword, indexed
``floor``     see ``ImageEntry``
``bound``     see ``ImageEntry``
``hash``      perceptual hash, hexadecimal; absent without one
``taken``     RFC 3339, indexed; absent if unknown
``tags``      keywords, indexed
``extra``     any JSON values
============  ==================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np

from vectordb.images import ImageEntry, ImageFact, ImageHits, ImageLabels, last_by_id, word_id

IMAGE: Final = "image"
WORDS: Final = "words"
KEYWORDS: Final = ("bucket", "key", "captions", "tags")  # fields with an index
TAKEN: Final = "taken"
COMPARED: Final = ("bucket", "key", "raw_key", "etag", "tags")  # fields of an ``ImageFact``
MARGIN: Final = 1e-5  # similarities of float32 vectors differ by less between two ways to compute them


class Stored(Protocol):
    """A point that was read, of either library."""

    @property
    def id(self) -> Any: ...
    @property
    def payload(self) -> dict[str, Any] | None: ...
    @property
    def vector(self) -> Any: ...


class Scored(Protocol):
    """A point that was found, of either library."""

    @property
    def id(self) -> Any: ...
    @property
    def score(self) -> float: ...
    @property
    def payload(self) -> dict[str, Any] | None: ...


def hits_of(found: Sequence[Scored]) -> ImageHits:
    """The images of points, best first; equal scores are ordered by id."""
    found = sorted(found, key=lambda point: (-point.score, point.id))
    return ImageHits(tuple(entry_of(point.payload) for point in found), tuple(point.score for point in found))


def payload_of(entry: ImageEntry) -> dict[str, Any]:
    """The payload of an image."""
    raw = entry.key.encode("utf-8", "surrogateescape")
    key = raw.decode("utf-8", "replace")
    payload: dict[str, Any] = {
        "bucket": entry.bucket, "key": key, "etag": entry.etag, "captions": entry.captions_version,
        "floor": entry.floor, "bound": entry.bound, "tags": list(entry.tags), "extra": dict(entry.extra),
    }  # fmt: skip
    if key != entry.key:
        payload["raw_key"] = raw.hex()
    if entry.hash is not None:
        payload["hash"] = entry.hash.hex()
    if entry.taken_at is not None:
        payload[TAKEN] = entry.taken_at
    return payload


def entry_of(payload: dict[str, Any] | None) -> ImageEntry:
    """The image of a payload."""
    p = payload or {}
    number = p.get("hash")
    return ImageEntry(
        p["bucket"],
        _key(p),
        p["etag"],
        p["captions"],
        p["floor"],
        p["bound"],
        None if number is None else bytes.fromhex(number),
        p.get(TAKEN),
        tuple(p["tags"]),
        p["extra"],
    )


def fact_of(payload: dict[str, Any] | None, vector: Any) -> ImageFact:
    """The fact of a payload with the fields ``COMPARED``. ``vector``: the point's, with ``WORDS`` if it has any."""
    p = payload or {}
    words = vector.get(WORDS) if isinstance(vector, dict) else None
    return ImageFact(p["bucket"], _key(p), p["etag"], tuple(p["tags"]), 0 if words is None else len(words.indices))


def to_label(
    labels: Sequence[ImageLabels], retrieve: Callable[[list[int]], Iterable[Stored]]
) -> list[tuple[int, ImageLabels]]:
    """The labels to store, by id: of the version that is stored, and unlike those that are.

    ``retrieve``: the points with these ids that exist, with the fields ``COMPARED`` and ``WORDS``.
    """
    wanted = last_by_id([ImageEntry(one.bucket, one.key, one.etag) for one in labels])
    changed = []
    for point in retrieve(sorted(wanted)) if wanted else ():
        number = int(point.id)
        one, p = labels[wanted[number]], point.payload or {}
        if (p["bucket"], _key(p), p["etag"]) != (one.bucket, one.key, one.etag):
            continue
        words = {at: float(np.float32(weight)) for at, weight in zip(*sparse(one.words), strict=True)}
        if tuple(p["tags"]) != one.tags or _stored_words(point.vector) != words:
            changed.append((number, one))
    return changed


def sparse(words: Mapping[str, float]) -> tuple[list[int], list[float]]:
    """The indices and the values of the sparse vector of words with weights; of two with one id the last counts."""
    by_id = {word_id(word): weight for word, weight in words.items()}
    return list(by_id), list(by_id.values())


def _stored_words(vector: Any) -> dict[int, float]:
    words = vector.get(WORDS) if isinstance(vector, dict) else None
    return (
        {} if words is None else {at: float(np.float32(w)) for at, w in zip(words.indices, words.values, strict=True)}
    )


def _key(payload: dict[str, Any]) -> str:
    raw: str | None = payload.get("raw_key")
    if raw is not None:
        return bytes.fromhex(raw).decode("utf-8", "surrogateescape")
    return str(payload["key"])
