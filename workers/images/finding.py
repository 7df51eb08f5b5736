"""Finds images by words, by an image, or by a filter alone.

Each hit is checked against its record, since the index of images is derived and may be behind. A hit counts if the
record is of the same version (ETag), is tagged, and fulfils the filter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import numpy as np

from tasks.search.fusion import RankedList, fused, reason
from tasks.search.query import missing, read
from tasks.search.words import whole_name
from vectordb.errors import Permanent
from vectordb.images import ImageSearch, image_id
from vectordb.index import Floats
from workers.images.coverage import Coverage, CoverageReader
from workers.images.kept_lists import INVALID_CURSOR, BadCursor, cursor_of, place_of
from workers.images.labels import words, written
from workers.images.newest import Newest
from workers.images.query_image import QueryImages
from workers.images.ranked_lists import MOST, RankedHit, RankedLists, Search
from workers.images.search_filter import EVERY_IMAGE, SearchFilter
from workers.images.text_search import FoundByText, RemoteTextSearch
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import Records
from workers.lifecycle.tag_entries import TagEntry, tag_entries
from workers.lifecycle.times import rfc3339

NAMED = 200  # images with the words of a file name whose records are read


class NoVector(Permanent):
    """This object cannot be searched with: it has no record, no tags, or no vector of its present version."""


class NothingAsked(Permanent):
    """There is neither a query nor a filter, or a query for images that have no tags."""


@dataclass(frozen=True)
class FoundImage:
    """An image and why it was found.

    ``score``: of the ranking: fused ranks for a text, the cosine for an image, 0 for a filter alone.
    ``similarity``: cosine to the query; ``None`` if its vector did not find it. ``tags``: the labels of the record
    that match words of the query, as the record spells them, also those that imply one. ``metadata``: what its owner
    wrote and the query names, as ``title: Sunset in Paris``. ``words``: other words of the query by which it is
    found, as of its file name, as index forms.
    """

    record: Record
    score: float
    similarity: float | None
    tags: tuple[str, ...]
    words: tuple[str, ...]
    metadata: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """For JSON: the image, why it was found, and its tags without their evidence."""
        record = self.record
        return {
            "bucket": record.bucket, "key": record.key, "etag": record.etag, "state": record.state,
            "error": record.error, "score": round(self.score, 6),
            "similarity": None if self.similarity is None else round(self.similarity, 6),
            "tags": self.tags, "words": self.words, "metadata": self.metadata,
            "all_tags": [{"label": t.label, "score": t.score, "confidence": t.confidence} for t in record.tags],
            "unknown": record.unknown, "taken_at": record.media.taken_at if record.media else None,
            "finished_at": rfc3339(record.finished_at), "file_name": record.file_name or None,
            "client_id": record.client_id or None, "all_metadata": record.metadata or {},
        }  # fmt: skip


@dataclass(frozen=True)
class FoundPage:
    """A page of hits, best first. ``cursor``: of the next page; ``None`` on the last one. Others: see ``Search``.

    ``coverage``: how many images could be found. ``hint``: on the first page, the tags of the filter no image has.
    """

    images: tuple[FoundImage, ...]
    cursor: str | None
    found_by: str
    truncated: bool
    coverage: Coverage
    hint: str | None = None


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
    """Searches the images of a stack. Raises ``Transient`` if a worker does not answer or a server is away.

    ``text_vector``: returns the unit vector (dimension,) of a text.
    """

    def __init__(
        self,
        images: ImageSearch,
        text_search: RemoteTextSearch,
        text_vector: Callable[[str], Floats],
        query_images: QueryImages,
        records: Records,
        newest: Newest,
        lists: RankedLists,
        coverage: CoverageReader,
    ) -> None:
        self._images = images
        self._text_search = text_search
        self._text_vector = text_vector
        self._query_images = query_images
        self._records = records
        self._newest = newest
        self._lists = lists
        self._coverage = coverage

    def find(self, asked: Asked, limit: int, cursor: str | None = None) -> FoundPage:
        """A page of ``limit`` images at most. With a ``cursor``, the page that it stands for.

        Raises ``NothingAsked``, ``NoVector``, ``BadQueryImage``, ``BadCursor`` and ``CursorExpired``.
        """
        if cursor is not None:
            return self._next(asked, limit, cursor)
        search, hits = self._ranked(asked)
        found, position = self._page(search, limit, 0, len(hits), lambda start, count: hits[start : start + count])
        more = cursor_of(self._lists.keep(search, hits), position) if position < len(hits) else None
        tags = (*asked.where.tags, *asked.where.not_tags)
        return self._found(search, found, more, self._records.tag_hints.unknown(tags))

    def _next(self, asked: Asked, limit: int, cursor: str) -> FoundPage:
        name, position = place_of(cursor)
        search, length = self._lists.open(name)
        if position >= length:
            raise BadCursor(INVALID_CURSOR)
        if asked.query not in {"", search.query} or (not asked.where.empty and asked.where != search.where):
            raise BadCursor("the cursor is of another search: pass the same query and filters, or only the cursor")
        found, position = self._page(search, limit, position, length, partial(self._lists.hits, name))
        return self._found(search, found, cursor_of(name, position) if position < length else None)

    def _found(
        self, search: Search, found: tuple[FoundImage, ...], cursor: str | None, hint: str | None = None
    ) -> FoundPage:
        coverage = self._coverage.of_records() if search.found_by == "filters" else self._coverage.read()
        return FoundPage(found, cursor, search.found_by, search.truncated, coverage, hint)

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
        if asked.query and not asked.where.tagged:
            raise NothingAsked(f"images that are {asked.where.state} have no tags: give the state without a query")
        if asked.image is not None or asked.like is not None:
            return self._like(asked)
        query = read(asked.text)
        where = asked.where.without(query.excluded)
        if not query.text and where.empty:
            raise NothingAsked("the text has no words to search for")
        if not query.text:
            hits, truncated = self._newest.find(where)
            return Search("filters", asked.query, asked.text, asked.where, truncated), hits
        vector = self._text_vector(query.text)
        name = whole_name(asked.text)
        asked_words = {**query.words, name: 1.0} if name else query.words
        found = self._text_search.find(vector, asked_words, MOST + 1, where.where())
        hits = self._named_first(_fused(found), found, asked.text) if name else _fused(found)
        return Search("text", asked.query, asked.text, asked.where, len(hits) > MOST), hits[:MOST]

    def _named_first(self, hits: list[RankedHit], found: FoundByText, name: str) -> list[RankedHit]:
        """The hits, those first whose file has exactly this name, then those that only write it otherwise."""
        ids = [f"{entry.bucket}/{entry.key}" for entry in found.by_words.entries[:NAMED]]
        ranks: dict[str, int] = {}
        for oid, record in zip(ids, self._records.get(ids), strict=True):
            names = [] if record is None else [record.file_name or "", record.key.rpartition("/")[2]]
            if name in names:
                ranks[oid] = names.index(name)
            elif whole_name(name) in map(whole_name, names):
                ranks[oid] = 2
        best = max((hit.score for hit in hits), default=0.0)
        ahead = sorted((hit for hit in hits if hit.id in ranks), key=lambda hit: ranks[hit.id])
        behind = [hit for hit in hits if hit.id not in ranks]
        return [*(msgspec.structs.replace(hit, score=best) for hit in ahead), *behind]

    def _like(self, asked: Asked) -> tuple[Search, list[RankedHit]]:
        vector = self._vector_of(*asked.like) if asked.like else self._query_images.vector(asked.image or b"")
        (found,) = self._images.search(np.asarray(vector)[None], MOST + 2, asked.where.where())
        pairs = zip(found.entries, found.scores, strict=True)
        hits = [
            RankedHit(entry.bucket, entry.key, entry.etag, score, score)
            for entry, score in pairs
            if (entry.bucket, entry.key) != asked.like
        ]
        return Search("image", asked.query, "", asked.where, len(hits) > MOST), hits[:MOST]

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
        query = read(search.text)
        found = []
        for hit, record in zip(hits, self._records.get([hit.id for hit in hits]), strict=True):
            if record is None or record.state != (search.where.state or "done") or record.etag != hit.etag:
                continue
            entries = tag_entries(record)
            if not search.where.holds(record, entries):
                continue
            has = words(record)
            if missing(query, list(has)) or not has.keys().isdisjoint(query.excluded):
                continue
            why = reason(query, hit.similarity, _labels(entries), has, written(record))
            found.append(FoundImage(record, hit.score, why.similarity, why.tags, why.words, why.metadata))
        return found


def _labels(entries: Sequence[TagEntry]) -> dict[str, list[str]]:
    """The labels of a record, surest first, with the forms that they imply."""
    spelled = {entry.form: entry.label for entry in entries if entry.label}
    labels: dict[str, list[str]] = {label: [] for label in spelled.values()}
    for entry in entries:
        if entry.by in spelled:
            labels[spelled[entry.by]].append(entry.form)
    return labels


def _fused(found: FoundByText) -> list[RankedHit]:
    """Both lists as one, best first."""
    nearest, by_words = found.nearest, found.by_words
    entries = {entry.id: entry for entry in (*nearest.entries, *by_words.entries)}
    similarities = {entry.id: score for entry, score in zip(nearest.entries, nearest.scores, strict=True)}
    lists = [
        RankedList([entry.id for entry in hits.entries], hits.scores, graded=hits is by_words)
        for hits in (nearest, by_words)
    ]
    return [
        RankedHit(
            entries[one.id].bucket, entries[one.id].key, entries[one.id].etag, one.score, similarities.get(one.id)
        )
        for one in fused(lists, len(entries))
    ]
