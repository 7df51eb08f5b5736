"""The image index on a Qdrant server: one collection, whose points are described in ``vectordb.image_points``.

The server builds graphs by itself, over int8 codes in memory; vectors and payloads are on disk. Clients and forks: as
for captions, see ``vectordb.server``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from qdrant_client import QdrantClient, models

from vectordb.image_points import (
    COMPARED,
    IMAGE,
    KEYWORDS,
    MARGIN,
    TAKEN,
    WORDS,
    entry_of,
    fact_of,
    hits_of,
    payload_of,
    sparse,
    to_label,
)
from vectordb.images import (
    EVERYTHING,
    PAGE,
    ImageEntry,
    ImageFact,
    ImageFilter,
    ImageHits,
    ImageLabels,
    last_by_id,
)
from vectordb.index import Floats, IndexFault, IndexMissing, WrongDimension, unit_rows
from vectordb.options import IndexOptions
from vectordb.server_client import ask, ask_once, is_local

DEFAULT = IndexOptions(m=16, ef_construct=128, ef=128)
_UPLOAD = 256  # points per request: at 4,096 dimensions still below the REST limit of 32 MB


class ServerImages:
    """An ``ImageIndex`` in a collection."""

    def __init__(
        self, client: QdrantClient, collection: str, dimension: int, options: IndexOptions = DEFAULT
    ) -> None:
        """Used by ``create`` and ``open``."""
        self.dimension = dimension
        self._client = client
        self._collection = collection
        self._owner = os.getpid()
        self._closed = False
        local = is_local(client)  # a local database is exact, and warns about parameters
        rescored = models.QuantizationSearchParams(rescore=True, oversampling=options.oversampling)
        ignored = models.QuantizationSearchParams(ignore=True)
        self._params = None if local else models.SearchParams(hnsw_ef=options.ef, quantization=rescored)
        self._exact = None if local else models.SearchParams(exact=True, quantization=ignored)

    @classmethod
    def create(cls, client: QdrantClient, collection: str, dimension: int, options: IndexOptions = DEFAULT) -> Self:
        """Create an empty collection. Raises ``IndexExists``; after ``ServerAway`` it may or may not exist."""
        codes = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
        ask_once(
            client.create_collection,
            collection,
            vectors_config={
                IMAGE: models.VectorParams(size=dimension, distance=models.Distance.COSINE, on_disk=True)
            },
            sparse_vectors_config={WORDS: models.SparseVectorParams(index=models.SparseIndexParams(on_disk=True))},
            hnsw_config=models.HnswConfigDiff(m=options.m, ef_construct=options.ef_construct),
            quantization_config=models.ScalarQuantization(scalar=codes),
            on_disk_payload=True,
            shard_number=options.shards,
            replication_factor=options.replicas,
        )
        if not is_local(client):
            for field in KEYWORDS:
                ask(client.create_payload_index, collection, field, models.PayloadSchemaType.KEYWORD)
            ask(client.create_payload_index, collection, TAKEN, models.PayloadSchemaType.DATETIME)
        return cls(client, collection, dimension, options)

    @classmethod
    def open(cls, client: QdrantClient, collection: str, options: IndexOptions = DEFAULT) -> Self:
        """Open the index in a collection. Raises ``IndexMissing``."""
        vectors = ask(client.get_collection, collection).config.params.vectors
        if not isinstance(vectors, dict) or IMAGE not in vectors:
            raise IndexMissing(f"the collection {collection} does not hold images")
        return cls(client, collection, vectors[IMAGE].size, options)

    def put(self, entries: Sequence[ImageEntry], vectors: Floats) -> None:
        """See ``ImageIndex.put``. Returns when the server has stored them; after a fault some may be stored."""
        if len(entries) != len(vectors):
            raise WrongDimension(f"{len(entries)} images were given with {len(vectors)} vectors")
        rows, client = unit_rows(vectors, self.dimension), self._used()
        places = list(last_by_id(entries).items())
        for start in range(0, len(places), _UPLOAD):
            part = places[start : start + _UPLOAD]
            known = ask(
                client.retrieve, self._collection, [n for n, _ in part], with_payload=True, with_vectors=[WORDS]
            )
            before = {int(record.id): record for record in known}
            points = [_point(n, entries[at], rows[at].tolist(), before.get(n)) for n, at in part]
            ask(client.upsert, self._collection, points, wait=True)

    def label(self, labels: Sequence[ImageLabels]) -> None:
        """See ``ImageIndex.label``."""
        client = self._used()
        operations: list[Any] = []

        def retrieve(ids: list[int]) -> list[models.Record]:
            return ask(client.retrieve, self._collection, ids, with_payload=list(COMPARED), with_vectors=[WORDS])

        for number, one in to_label(labels, retrieve):
            words = models.PointVectors(id=number, vector={WORDS: _sparse(one.words)})
            operations.append(models.UpdateVectorsOperation(update_vectors=models.UpdateVectors(points=[words])))
            # last: an image with its tags has its words, too, whatever fails
            tags = models.SetPayload(payload={"tags": list(one.tags)}, points=[number])
            operations.append(models.SetPayloadOperation(set_payload=tags))
        if operations:
            ask(client.batch_update_points, self._collection, operations, wait=True)

    def remove(self, ids: Sequence[int]) -> None:
        """See ``ImageIndex.remove``."""
        client = self._used()
        for start in range(0, len(ids), PAGE):
            part = models.PointIdsList(points=list(ids[start : start + PAGE]))
            ask(client.delete, self._collection, part, wait=True)

    def search(self, vectors: Floats, limit: int, where: ImageFilter = EVERYTHING) -> list[ImageHits]:
        """See ``ImageSearch.search``."""
        queries, client = unit_rows(vectors, self.dimension), self._used()
        if limit < 1 or not len(queries):  # the server rejects both
            return [hits_of([]) for _ in queries]
        requests = [
            models.QueryRequest(
                query=query, using=IMAGE, limit=limit, filter=_filter(where), with_payload=True, params=self._params
            )
            for query in queries.tolist()
        ]
        return [hits_of(found.points) for found in ask(client.query_batch_points, self._collection, requests)]

    def search_words(self, words: Mapping[str, float], limit: int, where: ImageFilter = EVERYTHING) -> ImageHits:
        """See ``ImageSearch.search_words``."""
        client = self._used()
        if not words or limit < 1:
            return hits_of([])
        found = ask(
            client.query_points, self._collection, query=_sparse(words), using=WORDS, limit=limit,
            query_filter=_filter(where), with_payload=True,
        )  # fmt: skip
        return hits_of(found.points)

    def ids_after(self, after: int, limit: int) -> list[int]:
        """See ``ImageSearch.ids_after``."""
        if after >= 2**64 - 1:
            return []
        found, _ = ask(
            self._used().scroll, self._collection, limit=limit, offset=after + 1, with_payload=False,
            with_vectors=False,
        )  # fmt: skip
        return [int(record.id) for record in found]

    def concerned(
        self, vector: Floats, hubness: float, captions_version: str, part: Sequence[int] | None = None
    ) -> list[ImageEntry]:
        """See ``ImageSearch.concerned``: an exact scan, then the rank values above the floors."""
        (query,) = unit_rows(vector[None], self.dimension).tolist()
        version = ImageFilter(captions_version=captions_version)
        where, total = _filter(version), self.count(version) if part is None else len(part)
        if not total:
            return []
        if part is not None:
            of_version = models.FieldCondition(key="captions", match=models.MatchValue(value=captions_version))
            where = models.Filter(must=[models.HasIdCondition(has_id=list(part)), of_version])
        every = models.Prefetch(query=query, using=IMAGE, limit=total, filter=where, params=self._exact)
        above = models.SumExpression(sum=["$score", models.NegExpression(neg="floor")])
        found = ask(
            self._used().query_points, self._collection, prefetch=every, query=models.FormulaQuery(formula=above),
            limit=total, score_threshold=hubness - MARGIN, with_payload=True,
        )  # fmt: skip
        hits = hits_of(found.points)
        pairs = zip(hits.entries, hits.scores, strict=True)
        return [entry for entry, score in pairs if score + entry.floor >= entry.bound - MARGIN]

    def get(self, ids: Sequence[int]) -> tuple[list[ImageEntry], Floats]:
        """See ``ImageSearch.get``."""
        client, wanted, found = self._used(), sorted(set(ids)), list[models.Record]()
        for start in range(0, len(wanted), PAGE):
            part = wanted[start : start + PAGE]
            found += ask(client.retrieve, self._collection, part, with_payload=True, with_vectors=[IMAGE])
        return self._read(sorted(found, key=lambda record: int(record.id)))

    def pages(self, after: int = -1, where: ImageFilter = EVERYTHING) -> Iterator[tuple[list[ImageEntry], Floats]]:
        """See ``ImageSearch.pages``. Images that are put meanwhile may or may not be included."""
        offset: Any = after + 1
        while offset is not None and offset < 2**64:
            found, offset = ask(
                self._used().scroll, self._collection, scroll_filter=_filter(where), limit=PAGE, offset=offset,
                with_payload=True, with_vectors=[IMAGE],
            )  # fmt: skip
            if found:
                yield self._read(found)

    def entries(self, after: int = -1) -> Iterator[list[ImageEntry]]:
        """See ``ImageSearch.entries``."""
        offset: Any = after + 1
        while offset is not None and offset < 2**64:
            found, offset = ask(
                self._used().scroll,
                self._collection,
                limit=PAGE,
                offset=offset,
                with_payload=True,
                with_vectors=False,
            )
            if found:
                yield [entry_of(record.payload) for record in found]

    def facts(self, ids: Sequence[int]) -> list[ImageFact]:
        """See ``ImageSearch.facts``."""
        client, wanted, found = self._used(), sorted(set(ids)), list[models.Record]()
        for start in range(0, len(wanted), PAGE):
            part = wanted[start : start + PAGE]
            found += ask(client.retrieve, self._collection, part, with_payload=list(COMPARED), with_vectors=[WORDS])
        found.sort(key=lambda record: int(record.id))
        return [fact_of(one.payload, one.vector) for one in found]

    def facts_after(self, after: int, limit: int) -> list[ImageFact]:
        """See ``ImageSearch.facts_after``."""
        if after >= 2**64 - 1:
            return []
        found, _ = ask(
            self._used().scroll, self._collection, limit=limit, offset=after + 1, with_payload=list(COMPARED),
            with_vectors=[WORDS],
        )  # fmt: skip
        return [fact_of(one.payload, one.vector) for one in found]

    def count(self, where: ImageFilter = EVERYTHING) -> int:
        """See ``ImageSearch.count``."""
        return ask(self._used().count, self._collection, count_filter=_filter(where), exact=True).count

    def maintain(self) -> None:
        """See ``ImageIndex.maintain``. Does nothing: the server builds its graphs."""

    def close(self) -> None:
        """See ``ImageIndex.close``. The server has stored everything; the client stays open."""
        self._closed = True

    def _read(self, found: Sequence[models.Record]) -> tuple[list[ImageEntry], Floats]:
        rows: Any = [record.vector[IMAGE] for record in found if isinstance(record.vector, dict)]
        return [entry_of(r.payload) for r in found], np.array(rows, np.float32).reshape(-1, self.dimension)

    def _used(self) -> QdrantClient:
        """The client, for the process that opened the index and until it is closed."""
        if self._closed:
            raise IndexFault("this index is closed")
        if os.getpid() != self._owner:
            raise IndexFault("this index was opened before a fork; open it in the process that uses it")
        return self._client


def _point(number: int, entry: ImageEntry, vector: list[float], before: models.Record | None) -> models.PointStruct:
    """The point of an image, with the words and tags of the same version that is stored."""
    vectors: dict[str, Any] = {IMAGE: vector}
    if before is not None and entry_of(before.payload).etag == entry.etag:
        if isinstance(before.vector, dict):
            vectors |= before.vector
        entry = entry if entry.tags else replace(entry, tags=entry_of(before.payload).tags)
    return models.PointStruct(id=number, vector=vectors, payload=payload_of(entry))


def _sparse(words: Mapping[str, float]) -> models.SparseVector:
    indices, values = sparse(words)
    return models.SparseVector(indices=indices, values=values)


def _filter(where: ImageFilter) -> models.Filter | None:
    must: list[Any] = [
        models.FieldCondition(key=key, match=models.MatchValue(value=value))
        for key, value in (("bucket", where.bucket), ("captions", where.captions_version))
        if value is not None
    ]
    must += [models.FieldCondition(key="tags", match=models.MatchValue(value=tag)) for tag in where.tags]
    if where.prefix:
        must.append(models.FieldCondition(key="key", match=models.MatchPrefix(prefix=where.prefix)))
    if where.after is not None or where.before is not None:
        times: Any = models.DatetimeRange(gte=where.after, lte=where.before)
        must.append(models.FieldCondition(key=TAKEN, range=times))
    without: list[Any] = []
    if where.not_tags:
        without = [models.FieldCondition(key="tags", match=models.MatchAny(any=list(where.not_tags)))]
    return models.Filter(must=must, must_not=without) if must or without else None
