"""The caption index on a Qdrant server: one collection, searched with one request per batch.

The id of a point is the caption's; its payload is ``{"text": …, "extra": {…}}``, with an index on the source.

**Two phases.** A new collection is filled first: the server builds no graph, and finds captions by a full scan.
``optimize`` sets what depends on the number of captions, and waits until the server has built the graph. Later
additions are found at once, and the server adds them to its graph by itself.

**Clients.** An index uses the given client and does not close it. Calls from several threads are safe on a server,
but not in a local database of the client. gRPC does not survive a fork: an inherited index raises ``IndexFault``
instead of hanging.

**Order.** Equal similarities are ordered by id. If a tie crosses the ``limit``, the server decides which of its
captions are included.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from qdrant_client import QdrantClient, models

from vectordb.captions import SOURCE, Caption
from vectordb.index import (
    PAGE,
    Floats,
    IndexFault,
    IndexMissing,
    Neighbours,
    paired,
    unit_rows,
)
from vectordb.options import IndexOptions
from vectordb.server_client import ask, ask_once, is_local

DEFAULT = IndexOptions()

# points per request: at 4,096 dimensions still below the REST limit of 32 MB
_UPLOAD = 256
# kilobytes of vectors above which a segment gets a graph; a full scan of fewer takes a millisecond or two
_GRAPH_FROM_KB = 10_000
# approximate size of a caption's text, payload and id on disk
_CAPTION_BYTES = 400
_PATIENCE_S = 6 * 3600.0


class ServerIndex:
    """A ``CaptionIndex`` in a collection."""

    def __init__(self, client: QdrantClient, collection: str, dimension: int, options: IndexOptions) -> None:
        """Used by ``create`` and ``open``."""
        self.dimension = dimension
        self._client = client
        self._collection = collection
        self._options = options
        self._owner = os.getpid()
        self._closed = False
        self._params = models.SearchParams(
            hnsw_ef=options.ef,
            # no effect without quantised codes
            quantization=models.QuantizationSearchParams(rescore=True, oversampling=options.oversampling),
        )

    @classmethod
    def create(cls, client: QdrantClient, collection: str, dimension: int, options: IndexOptions = DEFAULT) -> Self:
        """Create an empty collection, to be filled before the graph is built. Raises ``IndexExists``.

        After ``ServerAway`` the collection may or may not exist.
        """
        ask_once(
            client.create_collection,
            collection,
            vectors_config=models.VectorParams(
                size=dimension, distance=models.Distance.COSINE, on_disk=options.on_disk
            ),
            hnsw_config=models.HnswConfigDiff(m=options.m, ef_construct=options.ef_construct),
            optimizers_config=models.OptimizersConfigDiff(indexing_threshold=0),
            shard_number=options.shards,
            replication_factor=options.replicas,
        )
        index = cls(client, collection, dimension, options)
        index._index_sources()
        return index

    @classmethod
    def open(cls, client: QdrantClient, collection: str, options: IndexOptions = DEFAULT) -> Self:
        """Open the index in a collection. Raises ``IndexMissing``."""
        vectors = ask(client.get_collection, collection).config.params.vectors
        if not isinstance(vectors, models.VectorParams) or vectors.distance != models.Distance.COSINE:
            raise IndexMissing(f"the collection {collection} does not hold captions")
        return cls(client, collection, vectors.size, options)

    def add(self, captions: Sequence[Caption], vectors: Floats) -> None:
        """See ``CaptionIndex.add``. Returns when the server has stored them; after a fault some may be stored."""
        rows = paired(captions, vectors, self.dimension)
        client = self._used()
        last = {caption.id: (caption, row) for caption, row in zip(captions, rows, strict=True)}
        points = list(last.values())
        for start in range(0, len(points), _UPLOAD):
            part = [
                models.PointStruct(
                    id=caption.id,
                    vector=row.tolist(),
                    payload={"text": caption.text, "extra": dict(caption.payload)},
                )
                for caption, row in points[start : start + _UPLOAD]
            ]
            ask(client.upsert, self._collection, part, wait=True)

    def search(self, vectors: Floats, limit: int) -> list[Neighbours]:
        """See ``CaptionIndex.search``."""
        queries = unit_rows(vectors, self.dimension)
        client = self._used()
        if limit < 1 or not len(queries):  # the server rejects both
            return [self._neighbours([]) for _ in queries]
        requests = [
            models.QueryRequest(
                query=query,
                limit=limit,
                with_vector=True,
                with_payload=True,
                # a local database is exact, and warns about parameters
                params=None if is_local(client) else self._params,
            )
            for query in queries.tolist()
        ]
        return [
            self._neighbours(found.points) for found in ask(client.query_batch_points, self._collection, requests)
        ]

    def count(self) -> int:
        """See ``CaptionIndex.count``."""
        return ask(self._used().count, self._collection, exact=True).count

    def remove(self, ids: Sequence[int]) -> None:
        """See ``CaptionIndex.remove``."""
        client = self._used()
        for start in range(0, len(ids), PAGE):
            part = models.PointIdsList(points=list(ids[start : start + PAGE]))
            ask(client.delete, self._collection, part, wait=True)

    def get(self, ids: Sequence[int]) -> list[Caption]:
        """See ``CaptionIndex.get``."""
        client, wanted, found = self._used(), sorted(set(ids)), list[Caption]()
        for start in range(0, len(wanted), PAGE):
            part = wanted[start : start + PAGE]
            found += map(_caption, ask(client.retrieve, self._collection, part, with_payload=True))
        return sorted(found, key=lambda caption: caption.id)

    def pages(
        self, source: str | None = None, after: int = -1, *, taught: bool = False
    ) -> Iterator[tuple[list[Caption], Floats]]:
        """See ``CaptionIndex.pages``. Captions added meanwhile may or may not be included."""
        only = None
        if source is not None:
            only = models.Filter(must=[_has_source(source)])
        elif taught:
            only = models.Filter(must_not=[models.IsEmptyCondition(is_empty=models.PayloadField(key=_SOURCE_KEY))])
        offset: Any = after + 1
        while offset is not None and offset < 2**64:
            records, offset = ask(
                self._used().scroll,
                self._collection,
                scroll_filter=only,
                limit=PAGE,
                offset=offset,
                with_payload=True,
                with_vectors=True,
            )
            if records:
                yield list(map(_caption, records)), self._matrix(records)

    def optimize(self) -> None:
        """Let the server build graphs, and wait until it has finished. Takes minutes for a million captions.

        int8 codes, if enabled, are kept in memory.
        """
        self._index_sources()
        options = self._options.decided(self.count())
        codes = models.ScalarQuantization(
            scalar=models.ScalarQuantizationConfig(
                type=models.ScalarType.INT8,
                # the outermost hundredth of the values is clipped, which gives the others more resolution
                quantile=0.99,
                always_ram=True,
            )
        )
        ask(
            self._used().update_collection,
            self._collection,
            vectors_config={"": models.VectorParamsDiff(on_disk=options.on_disk)},
            hnsw_config=models.HnswConfigDiff(m=options.m, ef_construct=options.ef_construct),
            quantization_config=codes if options.quantised else models.Disabled.DISABLED,
            optimizers_config=_WITH_GRAPH,
        )
        self._settle()

    def size(self) -> int:
        """Estimated bytes on disk, over all replicas; the server does not report it.

        Computed from the number of captions, the dimension, codes and links, and a typical caption.
        """
        config = ask(self._used().get_collection, self._collection).config
        codes = self.dimension if config.quantization_config else 0
        # a node has 2m links of 4 bytes on the lowest layer, which holds nearly all of them
        each = 4 * self.dimension + codes + 8 * config.hnsw_config.m + _CAPTION_BYTES
        return self.count() * each * (config.params.replication_factor or 1)

    def close(self) -> None:
        """See ``CaptionIndex.close``. The server has stored everything; the client stays open."""
        self._closed = True

    def _index_sources(self) -> None:
        """Create the payload index on the source, if it does not exist."""
        if not is_local(self._client):
            ask(self._client.create_payload_index, self._collection, _SOURCE_KEY, models.PayloadSchemaType.KEYWORD)

    def _settle(self) -> None:
        """Wait until the server has optimised: green twice, because it may be green before it starts."""
        calm, pause, end = 0, 0.05, time.monotonic() + _PATIENCE_S
        while calm < 2:
            time.sleep(pause)
            info = ask(self._used().get_collection, self._collection)
            calm = calm + 1 if info.status == models.CollectionStatus.GREEN else 0
            if info.status == models.CollectionStatus.RED:
                raise IndexFault(f"the server cannot optimise {self._collection}: {info.optimizer_status}")
            if info.status == models.CollectionStatus.GREY:  # after a restart; it continues with the next change
                ask(self._used().update_collection, self._collection, optimizers_config=_WITH_GRAPH)
            if time.monotonic() > end:
                raise IndexFault(f"the server has not finished optimising {self._collection} after hours")
            pause = min(2 * pause, 2.0)

    def _neighbours(self, found: Sequence[models.ScoredPoint]) -> Neighbours:
        found = sorted(found, key=lambda point: (-point.score, point.id))
        similarities = np.array([point.score for point in found], dtype=np.float32)
        return Neighbours(tuple(map(_caption, found)), similarities, self._matrix(found))

    def _matrix(self, points: Sequence[models.ScoredPoint] | Sequence[models.Record]) -> Floats:
        return np.array([point.vector for point in points], dtype=np.float32).reshape(-1, self.dimension)

    def _used(self) -> QdrantClient:
        """The client, for the process that opened the index and until it is closed."""
        if self._closed:
            raise IndexFault("this index is closed")
        if os.getpid() != self._owner:
            raise IndexFault("this index was opened before a fork; open it in the process that uses it")
        return self._client


_SOURCE_KEY = f"extra.{SOURCE}"
_WITH_GRAPH = models.OptimizersConfigDiff(indexing_threshold=_GRAPH_FROM_KB)


def _caption(point: models.ScoredPoint | models.Record) -> Caption:
    """The caption of a point."""
    payload = point.payload or {}
    return Caption(int(point.id), payload["text"], payload.get("extra") or {})


def _has_source(source: str) -> models.FieldCondition:
    return models.FieldCondition(key=_SOURCE_KEY, match=models.MatchValue(value=source))
