"""Finds images by words, by an image, or by a filter alone.

Each hit is checked against its record, since the index of images is derived and may be behind. A hit counts if the
record is of the same version (ETag), is tagged, and fulfils the filter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from tasks.encoders.protocols import TextEncoder
from vectordb.errors import Permanent
from vectordb.images import ImageHits, ImageSearch, image_id
from vectordb.index import Floats
from workers.images.fusion import fused, query_words
from workers.images.labels import name_words
from workers.images.newest import Newest
from workers.images.query_image import QueryImages
from workers.images.ranked_lists import (
    MOST,
    BadCursor,
    RankedHit,
    RankedLists,
    Search,
    cursor_of,
    place_of,
)
from workers.images.search_filter import EVERY_IMAGE, SearchFilter
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import Records
from workers.lifecycle.tag_entries import TagEntry, tag_entries

_NOTHING = ImageHits((), ())


class NoVector(Permanent):
    """This object cannot be searched with: it has no record, no tags, or no vector of its present version."""


class NothingAsked(Permanent):
    """There is neither a query nor a filter."""


@dataclass(frozen=True)
class FoundImage:
    """An image and why it was found.

    ``score``: of the ranking; 0 when found by a filter alone. ``similarity``: cosine to the query; ``None`` if its
    vector did not find it. ``tags``: the labels of the record that match words of the query, as the record spells
    them, also those that imply one. ``words``: the words of the query that are in its file name.
    """

    record: Record
    score: float
    similarity: float | None
    tags: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True)
class FoundPage:
    """A page of hits, best first. ``cursor``: of the next page; ``None`` on the last one. Others: see ``Search``."""

    images: tuple[FoundImage, ...]
    cursor: str | None
    found_by: str
    truncated: bool


@dataclass(frozen=True)
class Asked:
    """What to look for: a text, images like an object or like the bytes of an image, or what fulfils a filter alone.

    ``like``: bucket and key.
    """

    where: SearchFilter = EVERY_IMAGE
    text: str = ""
    like: tuple[str, str] | None = None
    image: bytes | None = None

    @property
    def query(self) -> str:
        """Names it within a list that is kept. Empty: only a filter."""
        if self.image is not None:
            return "image"
        if self.like is not None:
            return "like " + "/".join(self.like)
        return f"text {self.text}" if self.text else ""


class Finder:
    """Searches the images of a stack. Raises ``Transient`` if a worker does not answer or a server is away."""

    def __init__(
        self,
        images: ImageSearch,
        encoder: TextEncoder,
        query_images: QueryImages,
        records: Records,
        newest: Newest,
        lists: RankedLists,
    ) -> None:
        self._images = images
        self._encoder = encoder
        self._query_images = query_images
        self._records = records
        self._newest = newest
        self._lists = lists

    def find(self, asked: Asked, limit: int, cursor: str | None = None) -> FoundPage:
        """A page of ``limit`` images at most. With a ``cursor``, the page that it stands for.

        Raises ``NothingAsked``, ``NoVector``, ``BadQueryImage``, ``BadCursor`` and ``CursorExpired``.
        """
        if cursor is not None:
            return self._next(asked, limit, cursor)
        search, hits = self._ranked(asked)
        found, position = self._page(search, limit, 0, len(hits), lambda start, count: hits[start : start + count])
        more = cursor_of(self._lists.keep(search, hits), position) if position < len(hits) else None
        return FoundPage(found, more, search.found_by, search.truncated)

    def _next(self, asked: Asked, limit: int, cursor: str) -> FoundPage:
        name, position = place_of(cursor)
        search, length = self._lists.open(name)
        if asked.query not in {"", search.query} or (not asked.where.empty and asked.where != search.where):
            raise BadCursor("the cursor is of another search: pass the same query and filters, or only the cursor")
        found, position = self._page(search, limit, position, length, partial(self._lists.hits, name))
        return FoundPage(
            found, cursor_of(name, position) if position < length else None, search.found_by, search.truncated
        )

    def _page(
        self, search: Search, limit: int, position: int, length: int, read: Callable[[int, int], Sequence[RankedHit]]
    ) -> tuple[tuple[FoundImage, ...], int]:
        """A full page if there are as many hits, and the position behind it. ``read``: hits by start and count."""
        found: list[FoundImage] = []
        while position < length and len(found) < limit:
            hits = read(position, limit - len(found))
            found += self._checked(search, hits)
            position += len(hits)
        return tuple(found), position

    def _ranked(self, asked: Asked) -> tuple[Search, list[RankedHit]]:
        if asked.query == "" and asked.where.empty:
            raise NothingAsked("there is nothing to search for: give a query, an image or a filter")
        if asked.query == "":
            hits, truncated = self._newest.find(asked.where)
            return Search("filters", "", asked.where, {}, truncated), hits
        words: Mapping[str, float] = {}
        itself = None
        if asked.image is not None:
            vector = self._query_images.vector(asked.image)
        elif asked.like is not None:
            itself, vector = asked.like, self._vector_of(*asked.like)
        else:
            words, vector = query_words(asked.text), self._encoder.encode([asked.text])[0]
        where = asked.where.where()
        (by_vector,) = self._images.search(np.asarray(vector)[None], MOST + 1, where)
        by_words = self._images.search_words(words, MOST + 1, where) if words else _NOTHING
        hits = [hit for hit in fused(by_vector, by_words) if (hit.bucket, hit.key) != itself]
        kind = "text" if asked.text and asked.image is None and asked.like is None else "image"
        return Search(kind, asked.query, asked.where, words, len(hits) > MOST), hits[:MOST]

    def _vector_of(self, bucket: str, key: str) -> Floats:
        (record,) = self._records.get([f"{bucket}/{key}"])
        if record is None:
            raise NoVector(f"the object {key!r} has no record")
        if record.state != "done":
            raise NoVector(f"the object {key!r} has no tags and no vector: it is {record.state}")
        entries, vectors = self._images.get([image_id(bucket, key)])
        for entry, vector in zip(entries, vectors, strict=True):
            if (entry.bucket, entry.key, entry.etag) == (bucket, key, record.etag):
                found: Floats = vector
                return found
        raise NoVector(f"the index of images has no vector of this version of the object {key!r}")

    def _checked(self, search: Search, hits: Sequence[RankedHit]) -> list[FoundImage]:
        found = []
        for hit, record in zip(hits, self._records.get([hit.id for hit in hits]), strict=True):
            if record is None or record.state != "done" or record.etag != hit.etag:
                continue
            entries = tag_entries(record)
            if search.where.holds(record, entries):
                tags, words = reasons(record, entries, search.words)
                found.append(FoundImage(record, hit.score, hit.similarity, tags, words))
        return found


def reasons(
    record: Record, entries: Sequence[TagEntry], words: Mapping[str, float]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels of a record that match words, surest first, and the words that are in its file name."""
    spelled = {entry.form: entry.label for entry in entries if entry.label}
    matching = sorted((entry for entry in entries if entry.form in words), key=lambda entry: -entry.rank)
    labels = (entry.label or spelled.get(entry.by, entry.form) for entry in matching)
    return tuple(dict.fromkeys(labels)), tuple(word for word in name_words(record.key) if word in words)
