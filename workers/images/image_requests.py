"""RPC requests about the index of images, which the retrieval worker owns where it is embedded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from tasks.message_parts import Vectors
from vectordb.decoders import from_msgpack
from vectordb.errors import Transient
from vectordb.images import ImageEntry, ImageFilter, ImageIndex, ImageLabels, image_id
from vectordb.index import Floats

TASK = "wildtag.images"


class _Request(msgspec.Struct, frozen=True, tag_field="ask", forbid_unknown_fields=True):
    pass


class OtherSpace(Transient):
    """The vector of a query is of another encoder than the index: it was changed meanwhile. A new query works."""


class Search(_Request, frozen=True, tag="search", omit_defaults=True):
    """The nearest images of each vector. ``space``: of the vectors; empty if the caller does not say it."""

    vectors: Vectors
    limit: int
    where: ImageFilter
    space: str = ""


class SearchWords(_Request, frozen=True, tag="search-words"):
    """The images with the best sum of weights of shared words."""

    words: dict[str, float]
    limit: int
    where: ImageFilter


class Get(_Request, frozen=True, tag="get"):
    """Images by id, with their vectors."""

    ids: tuple[int, ...]


class Page(_Request, frozen=True, tag="page"):
    """The images after an id, one page of them with their vectors."""

    after: int
    where: ImageFilter


class Entries(_Request, frozen=True, tag="entries"):
    """The images after an id, one page of them without their vectors."""

    after: int


class Count(_Request, frozen=True, tag="count"):
    """Number of images."""

    where: ImageFilter


class Concerned(_Request, frozen=True, tag="concerned"):
    """The images for which a caption is a kept one. ``part``: of these ids."""

    vector: Vectors
    hubness: float
    captions_version: str
    part: tuple[int, ...] | None = None


class IdsAfter(_Request, frozen=True, tag="ids-after"):
    """The first ``limit`` ids after an id."""

    after: int
    limit: int


class Put(_Request, frozen=True, tag="put"):
    """Insert or replace images."""

    entries: tuple[ImageEntry, ...]
    vectors: Vectors


class Label(_Request, frozen=True, tag="label"):
    """Set what images are found by."""

    labels: tuple[ImageLabels, ...]


class Remove(_Request, frozen=True, tag="remove"):
    """Remove images by id."""

    ids: tuple[int, ...]


class Facts(_Request, frozen=True, tag="facts"):
    """What is known of images by id, without their vectors."""

    ids: tuple[int, ...]


class FactsAfter(_Request, frozen=True, tag="facts-after"):
    """The same of the first ``limit`` images after an id."""

    after: int
    limit: int


class RemoveVersions(_Request, frozen=True, tag="remove-versions"):
    """Remove these versions of objects: bucket, key and ETag. Another version of the object stays."""

    versions: tuple[tuple[str, str, str], ...]


class Adopt(_Request, frozen=True, tag="adopt"):
    """Objects have another ETag with the same content: bucket, key, ETag before, ETag now."""

    versions: tuple[tuple[str, str, str, str], ...]


class Drop(_Request, frozen=True, tag="drop"):
    """Remove all images, and create the index again: also one that is damaged."""


class Found(msgspec.Struct, frozen=True):
    """Images with their vectors."""

    entries: tuple[ImageEntry, ...]
    vectors: Vectors

    @classmethod
    def of(cls, entries: Sequence[ImageEntry], vectors: Floats) -> Found:
        return cls(tuple(entries), Vectors.of(vectors))


Request = (
    Search | SearchWords | Get | Page | Entries | Count | Concerned | Put | Label | Remove | Facts | FactsAfter
    | RemoveVersions | Adopt | Drop | IdsAfter
)  # fmt: skip


def decode(data: bytes) -> Request:
    """Decode a request."""
    kind: Any = Request
    request: Request = from_msgpack(data, kind)
    return request


def answer(index: ImageIndex, request: Request) -> Any:  # noqa: C901, PLR0911, PLR0912 -- one for each request
    """Handle a request in the process that owns the index; the result is encoded by the caller.

    ``Drop`` is not one of them: it concerns the library.
    """
    match request:
        case Search(vectors, limit, where):
            return index.search(vectors.array(), limit, where)
        case SearchWords(words, limit, where):
            return index.search_words(words, limit, where)
        case Get(ids):
            return Found.of(*index.get(ids))
        case Page(after, where):
            return [Found.of(*page) for page in [next(index.pages(after, where), None)] if page is not None]
        case Entries(after):
            return next(index.entries(after), [])
        case Count(where):
            return index.count(where)
        case Concerned(vector, hubness, version, part):
            return index.concerned(vector.array()[0], hubness, version, part)
        case IdsAfter(after, limit):
            return index.ids_after(after, limit)
        case Put(entries, vectors):
            index.put(entries, vectors.array())
        case Label(labels):
            index.label(labels)
        case Remove(ids):
            index.remove(ids)
        case Facts(ids):
            return index.facts(ids)
        case FactsAfter(after, limit):
            return index.facts_after(after, limit)
        case RemoveVersions(versions):
            facts = index.facts([image_id(bucket, key) for bucket, key, _ in versions])
            gone = set(versions)
            index.remove([fact.id for fact in facts if (fact.bucket, fact.key, fact.etag) in gone])
        case Adopt(versions):
            _adopt(index, versions)
    return None


def _adopt(index: ImageIndex, versions: Sequence[tuple[str, str, str, str]]) -> None:
    now = {(bucket, key, before): after for bucket, key, before, after in versions}
    entries, vectors = index.get([image_id(bucket, key) for bucket, key, *_ in versions])
    places = [at for at, one in enumerate(entries) if (one.bucket, one.key, one.etag) in now]
    adopted = [replace(one, etag=now[one.bucket, one.key, one.etag]) for one in (entries[at] for at in places)]
    if adopted:
        index.put(adopted, vectors[places])
