"""The embedded caption index: a Qdrant Edge shard in a folder, in this process.

On disk: ``index.json`` (with the dimension; written last, so a folder without it is not an index) and the shard in
``shard/``.

Owners, forks and threads: see ``vectordb.edge_shard``.

**Memory.** Files of added captions stay mapped while the shard is open, and the log grows until it is flushed. So the
shard is reopened every ``RENEWED`` captions, and adding takes nearly the same memory for any number of captions.
Measurements of building and searching are in ops/decisions/0011-caption-index.md.

**Order.** Equal similarities are ordered by id. If a tie crosses the ``limit``, the graph decides which of its
captions are included.
"""

from __future__ import annotations

import json
import struct
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, cast
from uuid import UUID

import numpy as np
import qdrant_edge as edge

from vectordb.captions import SOURCE, Caption
from vectordb.disk_space import require_space, size_of
from vectordb.edge_shard import OpenShard, recorded_dimension, translated
from vectordb.index import (
    PAGE,
    Floats,
    IndexExists,
    Neighbours,
    paired,
    unit_rows,
)
from vectordb.options import IndexOptions

DEFAULT = IndexOptions()
KEPT = 4096  # captions that a search has found and the next one does not read again: about 15 MB
RENEWED = 32_768  # captions added between two reopenings of the shard

_SOURCE = f"extra.{SOURCE}"


class EdgeIndex:
    """A ``CaptionIndex`` on Qdrant Edge."""

    def __init__(self, path: Path, dimension: int, options: IndexOptions) -> None:
        """Used by ``create`` and ``open``: the shard in ``path`` exists."""
        self.dimension = dimension
        self._path = path
        self._options = options
        self._added = 0
        self._packed = struct.Struct(f"{dimension}f").pack
        # no effect for a graph over float32
        rescored = edge.QuantizationSearchParams(rescore=True, oversampling=options.oversampling)
        self._params = edge.SearchParams(hnsw_ef=options.ef, quantization=rescored)
        self._shard = OpenShard(path / "shard")
        self._kept = OrderedDict[int, tuple[Caption, bytes]]()  # with the bytes of their vectors; the latest last

    @classmethod
    def create(cls, path: Path, dimension: int, options: IndexOptions = DEFAULT) -> Self:
        """Create an empty index in the folder ``path``. Raises ``IndexExists``, ``DiskFull``."""
        sign = path / "index.json"
        if sign.exists():
            raise IndexExists(f"an index already exists at {path}")
        path.mkdir(parents=True, exist_ok=True)
        require_space(path, 0, "create an index")
        with translated(path):
            # on disk until the graph is built: otherwise every reopening would read all of it into memory
            begun = replace(options.decided(0), on_disk=True)
            shard = edge.EdgeShard.create(str(path / "shard"), _config(dimension, begun))
            shard.update(_index_of_sources())
            shard.close()
        sign.write_text(json.dumps({"dimension": dimension}))
        return cls(path, dimension, options)

    @classmethod
    def open(cls, path: Path, options: IndexOptions = DEFAULT) -> Self:
        """Open the index in the folder ``path``. Raises ``IndexMissing`` or ``IndexLocked``.

        Its storage is as it was built; ``options`` determine how it is searched, and how the next ``optimize``
        builds.
        """
        return cls(path, recorded_dimension(path, "there is no index"), options)

    def add(self, captions: Sequence[Caption], vectors: Floats) -> None:
        """See ``CaptionIndex.add``. New captions are found at once, by a full scan until ``optimize``.

        Raises ``DiskFull``; ``IndexLocked`` if another process opens the index while the shard is reopened.
        """
        rows = paired(captions, vectors, self.dimension)
        for start in range(0, len(captions), PAGE):
            part = captions[start : start + PAGE]
            points = [
                edge.Point(caption.id, row, {"text": caption.text, "extra": dict(caption.payload)})
                for caption, row in zip(part, rows[start : start + PAGE].tolist(), strict=True)
            ]
            with self._shard.used() as shard:
                require_space(self._path, 2 * rows.itemsize * self.dimension * len(points), "add captions")
                self._forget([caption.id for caption in part])
                shard.update(edge.UpdateOperation.upsert_points(points))
                self._added += len(points)
                if self._added >= RENEWED:
                    self._renew()

    def optimize(self) -> None:
        """Build the HNSW graph over everything added so far, then flush. Adds few new ones to an existing graph.

        Unset options follow from the current count: an index that has become large is rebuilt.
        """
        with self._shard.used():
            # the new segment is written beside the old one
            require_space(self._path, size_of(self._path) * 3 // 2, "build the graph")
            self._renew(_config(self.dimension, self._options.decided(self.count())))
            with self._shard.used() as reopened:
                reopened.optimize()
                reopened.flush()

    def indexed(self) -> int:
        """The number of captions in the graph; the others are found by a full scan."""
        with self._shard.used() as shard:
            return shard.info().indexed_vectors_count

    def search(self, vectors: Floats, limit: int) -> list[Neighbours]:
        """See ``CaptionIndex.search``."""
        queries = unit_rows(vectors, self.dimension).tolist()
        requests = [
            edge.QueryRequest(
                limit=limit,
                query=edge.Query.Nearest(query),
                with_vector=False,
                with_payload=False,
                params=self._params,
            )
            for query in queries
        ]
        with self._shard.used() as shard:
            batch = shard.query_batch(edge.QueryBatchRequest(requests))
            self._read(shard, {cast("int", point.id) for found in batch for point in found})
            neighbours = [self._neighbours(found) for found in batch]
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return neighbours

    def count(self) -> int:
        """See ``CaptionIndex.count``."""
        with self._shard.used() as shard:
            return shard.count(edge.CountRequest(exact=True))

    def remove(self, ids: Sequence[int]) -> None:
        """See ``CaptionIndex.remove``."""
        with self._shard.used() as shard:
            self._forget(ids)
            shard.update(edge.UpdateOperation.delete_points(list(ids)))

    def get(self, ids: Sequence[int]) -> list[Caption]:
        """See ``CaptionIndex.get``."""
        with self._shard.used() as shard:
            records = shard.retrieve(sorted(set(ids)), with_payload=True, with_vector=False)
        return sorted(map(_caption, records), key=lambda caption: caption.id)

    def pages(
        self, source: str | None = None, after: int = -1, *, taught: bool = False
    ) -> Iterator[tuple[list[Caption], Floats]]:
        """See ``CaptionIndex.pages``. Captions added meanwhile may or may not be included."""
        only = None
        if source is not None or taught:
            if source is not None:
                only = edge.Filter(must=[edge.FieldCondition(key=_SOURCE, match=edge.MatchValue(source))])
            else:
                only = edge.Filter(must_not=[edge.IsEmptyCondition(_SOURCE)])
            with self._shard.used() as shard:
                if _SOURCE not in shard.info().payload_schema:  # an index of a version without this index on sources
                    shard.update(_index_of_sources())
        offset: Any = after + 1
        while offset is not None and offset < 2**64:
            request = edge.ScrollRequest(offset=offset, limit=PAGE, filter=only, with_payload=True, with_vector=True)
            with self._shard.used() as shard:
                records, offset = shard.scroll(request)
            if records:
                yield list(map(_caption, records)), self._matrix(records)

    def close(self) -> None:
        """See ``CaptionIndex.close``. Does nothing in a forked child: the parent is the owner."""
        self._shard.close()

    def _renew(self, config: edge.EdgeConfig | None = None) -> None:
        """Close the shard and open it again, with another ``config`` if given; releases the lock in between."""
        self._shard.renew(config)
        self._added = 0

    def _read(self, shard: edge.EdgeShard, ids: set[int]) -> None:
        """Keep these captions: similar images have the same ones, and a vector takes long to become an array."""
        missing: list[int | str | UUID] = []
        for one in ids:
            if one in self._kept:
                self._kept.move_to_end(one)
            else:
                missing.append(one)
        if missing:
            records = shard.retrieve(missing, with_payload=True, with_vector=True)
            for record, row in zip(records, self._matrix(records), strict=True):
                self._kept[cast("int", record.id)] = _caption(record), row.tobytes()

    def _forget(self, ids: Iterable[int]) -> None:
        for one in ids:
            self._kept.pop(one, None)

    def _neighbours(self, found: list[edge.ScoredPoint]) -> Neighbours:
        found = sorted(found, key=lambda point: (-point.score, point.id))
        kept = [self._kept[cast("int", point.id)] for point in found]
        similarities = np.array([point.score for point in found], dtype=np.float32)
        # into a bytearray, so that the array is writable
        vectors = np.frombuffer(bytearray().join([row for _, row in kept]), dtype=np.float32)
        return Neighbours(tuple(caption for caption, _ in kept), similarities, vectors.reshape(-1, self.dimension))

    def _matrix(self, points: Sequence[edge.ScoredPoint] | Sequence[edge.Record]) -> Floats:
        # a third faster than numpy's conversion of lists; into a bytearray, so that the array is writable
        packed = bytearray().join([self._packed(*cast("list[float]", point.vector)) for point in points])
        return np.frombuffer(packed, dtype=np.float32).reshape(-1, self.dimension)


def _caption(point: edge.ScoredPoint | edge.Record) -> Caption:
    """The caption of a point."""
    payload: dict[str, Any] = point.payload or {}
    return Caption(cast("int", point.id), payload["text"], payload["extra"])


def _config(dimension: int, options: IndexOptions) -> edge.EdgeConfig:
    """The library's configuration for ``options`` without unset values."""
    codes = edge.ScalarQuantizationConfig(edge.ScalarType.Int8, memory=edge.Memory.Pinned)
    return edge.EdgeConfig(
        vectors=edge.EdgeVectorParams(
            size=dimension,
            distance=edge.Distance.Cosine,
            memory=edge.Memory.Cold if options.on_disk else edge.Memory.Cached,
            quantization_config=codes if options.quantised else None,
        ),
        # the minimum of the library, in kilobytes: more than a few captions are searched by graph
        hnsw_config=edge.HnswIndexConfig(m=options.m, ef_construct=options.ef_construct, full_scan_threshold=10),
        # every segment gets a graph, and optimising merges all into one segment
        optimizers=edge.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1),
    )


def _index_of_sources() -> edge.UpdateOperation:
    """Creates an index to find the few captions of a source among a million, without a separate graph."""
    kept = edge.KeywordIndexParams(memory=edge.Memory.Cold, enable_hnsw=False)
    return edge.UpdateOperation.create_field_index(_SOURCE, kept)
