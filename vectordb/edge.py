"""The caption index in this process: a Qdrant Edge shard in a folder. The embedded default.

On disk: ``index.json`` (our word on the dimension, written last, so that a folder without it is no index) and
the shard in ``shard/``.

**One owner.** The shard's write-ahead log is locked as long as it is open: a second ``open``, in this process or
another, raises ``IndexLocked``. The lock is also the reason why the log stays on: without it nothing keeps two
owners apart.

**Forks.** A forked child inherits the lock, keeps it after the parent closed, and hangs in its first search,
since the library's threads did not follow it. So open after the fork; an inherited index raises ``IndexFault``
instead of hanging.

**Threads.** Calls from several threads are safe, but none of them runs beside another: the library holds the
interpreter's lock through every call, a whole ``optimize`` included. A process that must answer meanwhile builds
in a process of its own.

**Memory.** The files of what is added stay mapped as long as the shard is open, and the log grows until it is
flushed. So every ``RENEWED`` captions the shard is closed and opened again, and adding takes nearly the same memory
for any number of captions. What building and searching take is in ops/decisions/0011-caption-index.md.

**Order.** Equal similarities come in the order of ids. Where a tie crosses the ``limit``, which of its captions
are in is the graph's choice.
"""

from __future__ import annotations

import json
import os
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import qdrant_edge as edge

from vectordb.captions import SOURCE, Caption
from vectordb.disk_space import need_room, size_of
from vectordb.index import (
    PAGE,
    Floats,
    IndexExists,
    IndexFault,
    IndexLocked,
    IndexMissing,
    Neighbours,
    WrongDimension,
    paired,
    unit_rows,
)
from vectordb.options import IndexOptions

DEFAULT = IndexOptions()
RENEWED = 32_768  # captions that are added between two reopenings of the shard

_SOURCE = f"extra.{SOURCE}"


class EdgeIndex:
    """A ``CaptionIndex`` on Qdrant Edge."""

    def __init__(self, path: Path, dimension: int, options: IndexOptions) -> None:
        """For ``create`` and ``open``: the shard in ``path`` exists."""
        self.dimension = dimension
        self._path = path
        self._options = options
        self._owner = os.getpid()
        self._closed = False
        self._turn = threading.RLock()  # none of the others' calls while the shard is exchanged
        self._added = 0
        self._packed = struct.Struct(f"{dimension}f").pack
        # says nothing to a graph over float32
        rescored = edge.QuantizationSearchParams(rescore=True, oversampling=options.oversampling)
        self._params = edge.SearchParams(hnsw_ef=options.ef, quantization=rescored)
        with _translated(path):
            self._shard = edge.EdgeShard.load(str(path / "shard"))

    @classmethod
    def create(cls, path: Path, dimension: int, options: IndexOptions = DEFAULT) -> Self:
        """A new, empty index in the folder ``path``. Raises ``IndexExists``, ``DiskFull``."""
        sign = path / "index.json"
        if sign.exists():
            raise IndexExists(f"there is an index at {path} already")
        path.mkdir(parents=True, exist_ok=True)
        need_room(path, 0, "begin an index")
        with _translated(path):
            # on disk until the graph is built: opened anew, an import would read all of it back into memory
            begun = replace(options.decided(0), on_disk=True)
            shard = edge.EdgeShard.create(str(path / "shard"), _config(dimension, begun))
            shard.update(_index_of_sources())
            shard.close()
        sign.write_text(json.dumps({"dimension": dimension}))
        return cls(path, dimension, options)

    @classmethod
    def open(cls, path: Path, options: IndexOptions = DEFAULT) -> Self:
        """The index in the folder ``path``. Raises ``IndexMissing`` or ``IndexLocked``.

        How it is kept is as it was built; ``options`` say how it is searched, and how the next ``optimize`` builds.
        """
        # the library would make a shard out of any folder that it is pointed at, so we look first
        try:
            dimension = int(json.loads((path / "index.json").read_text())["dimension"])
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise IndexMissing(f"no index at {path}: {exc}") from exc
        return cls(path, dimension, options)

    def add(self, captions: Sequence[Caption], vectors: Floats) -> None:
        """See ``CaptionIndex.add``. New captions are found at once, by a full scan until ``optimize``.

        Raises ``DiskFull``; ``IndexLocked`` where another process opens the index while the shard is opened again.
        """
        rows = paired(captions, vectors, self.dimension)
        for start in range(0, len(captions), PAGE):
            part = captions[start : start + PAGE]
            points = [
                edge.Point(caption.id, row, {"text": caption.text, "extra": dict(caption.payload)})
                for caption, row in zip(part, rows[start : start + PAGE].tolist(), strict=True)
            ]
            with self._used() as shard:
                need_room(self._path, 2 * rows.itemsize * self.dimension * len(points), "add captions")
                shard.update(edge.UpdateOperation.upsert_points(points))
                self._added += len(points)
                if self._added >= RENEWED:
                    self._renew()

    def optimize(self) -> None:
        """Build the HNSW graph over everything added so far, then flush. Few new ones go into the graph there is.

        What the options leave open is decided by the count of now: an index that has become large is built anew.
        """
        with self._used():
            # the new segment is written beside the old one
            need_room(self._path, size_of(self._path) * 3 // 2, "build the graph")
            self._renew(_config(self.dimension, self._options.decided(self.count())))
            self._shard.optimize()
            self._shard.flush()

    def indexed(self) -> int:
        """How many captions the graph holds; the others are found by a full scan."""
        with self._used() as shard:
            return shard.info().indexed_vectors_count

    def search(self, vectors: Floats, limit: int) -> list[Neighbours]:
        """See ``CaptionIndex.search``."""
        queries = unit_rows(vectors, self.dimension).tolist()
        requests = [
            edge.QueryRequest(
                limit=limit,
                query=edge.Query.Nearest(query),
                with_vector=True,
                with_payload=True,
                params=self._params,
            )
            for query in queries
        ]
        with self._used() as shard:
            batch = shard.query_batch(edge.QueryBatchRequest(requests))
        return [self._neighbours(found) for found in batch]

    def count(self) -> int:
        """See ``CaptionIndex.count``."""
        with self._used() as shard:
            return shard.count(edge.CountRequest(exact=True))

    def remove(self, ids: Sequence[int]) -> None:
        """See ``CaptionIndex.remove``."""
        with self._used() as shard:
            shard.update(edge.UpdateOperation.delete_points(list(ids)))

    def get(self, ids: Sequence[int]) -> list[Caption]:
        """See ``CaptionIndex.get``."""
        with self._used() as shard:
            records = shard.retrieve(sorted(set(ids)), with_payload=True, with_vector=False)
        return sorted(map(_caption, records), key=lambda caption: caption.id)

    def pages(
        self, source: str | None = None, after: int = -1, *, taught: bool = False
    ) -> Iterator[tuple[list[Caption], Floats]]:
        """See ``CaptionIndex.pages``. What is added meanwhile may or may not be seen."""
        only = None
        if source is not None or taught:
            if source is not None:
                only = edge.Filter(must=[edge.FieldCondition(key=_SOURCE, match=edge.MatchValue(source))])
            else:
                only = edge.Filter(must_not=[edge.IsEmptyCondition(_SOURCE)])
            with self._used() as shard:
                if _SOURCE not in shard.info().payload_schema:  # an index from before there was one
                    shard.update(_index_of_sources())
        offset: Any = after + 1
        while offset is not None and offset < 2**64:
            request = edge.ScrollRequest(offset=offset, limit=PAGE, filter=only, with_payload=True, with_vector=True)
            with self._used() as shard:
                records, offset = shard.scroll(request)
            if records:
                yield list(map(_caption, records)), self._matrix(records)

    def close(self) -> None:
        """See ``CaptionIndex.close``. In a forked child it does nothing: the parent is the owner."""
        if self._closed or os.getpid() != self._owner:
            return
        with self._turn:
            self._closed = True
            with _translated():
                self._shard.flush()
                self._shard.close()

    def _renew(self, config: edge.EdgeConfig | None = None) -> None:
        """Close the shard and open it again, for another ``config`` if one is given; it lets the lock go between."""
        self.close()
        with _translated(self._path):
            self._shard = edge.EdgeShard.load(str(self._path / "shard"), config)
        self._closed = False
        self._added = 0

    def _neighbours(self, found: list[edge.ScoredPoint]) -> Neighbours:
        found = sorted(found, key=lambda point: (-point.score, point.id))
        vectors = self._matrix(found)
        similarities = np.array([point.score for point in found], dtype=np.float32)
        return Neighbours(tuple(map(_caption, found)), similarities, vectors)

    def _matrix(self, points: Sequence[edge.ScoredPoint] | Sequence[edge.Record]) -> Floats:
        # a third faster than numpy's reading of lists; into a bytearray, so that the array can be written to
        packed = bytearray().join([self._packed(*cast("list[float]", point.vector)) for point in points])
        return np.frombuffer(packed, dtype=np.float32).reshape(-1, self.dimension)

    @contextmanager
    def _used(self) -> Iterator[edge.EdgeShard]:
        """The shard, for the process that opened it and until it is closed, one thread at a time."""
        if os.getpid() != self._owner:  # asked first: after a fork the lock may be held by a thread that is not here
            raise IndexFault("this index was opened before a fork; open it in the process that uses it")
        with self._turn:
            if self._closed:
                raise IndexFault("this index is closed")
            with _translated():
                yield self._shard


def _caption(point: edge.ScoredPoint | edge.Record) -> Caption:
    """The caption that a point was made of."""
    payload: dict[str, Any] = point.payload or {}
    return Caption(cast("int", point.id), payload["text"], payload["extra"])


def _config(dimension: int, options: IndexOptions) -> edge.EdgeConfig:
    """How the library is to keep an index of ``options`` in which nothing is left open."""
    codes = edge.ScalarQuantizationConfig(edge.ScalarType.Int8, memory=edge.Memory.Pinned)
    return edge.EdgeConfig(
        vectors=edge.EdgeVectorParams(
            size=dimension,
            distance=edge.Distance.Cosine,
            memory=edge.Memory.Cold if options.on_disk else edge.Memory.Cached,
            quantization_config=codes if options.quantised else None,
        ),
        # the least the library allows, in kilobytes: above a handful of captions the graph is searched
        hnsw_config=edge.HnswIndexConfig(m=options.m, ef_construct=options.ef_construct, full_scan_threshold=10),
        # any segment is large enough for a graph, and optimising makes one segment of all
        optimizers=edge.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1),
    )


def _index_of_sources() -> edge.UpdateOperation:
    """So that the few captions of a source are found among a million. No graph of their own: nobody searches them."""
    kept = edge.KeywordIndexParams(memory=edge.Memory.Cold, enable_hnsw=False)
    return edge.UpdateOperation.create_field_index(_SOURCE, kept)


@contextmanager
def _translated(path: Path | None = None) -> Iterator[None]:
    """Ours for the library's errors. It raises bare ``Exception``: their text is all that tells them apart."""
    where = f" at {path}" if path else ""
    try:
        yield
    except Exception as exc:
        if type(exc) is not Exception:  # a wrong argument, and so a fault of ours, not of the library
            raise
        text = str(exc)
        if "WouldBlock" in text:
            raise IndexLocked(f"the index{where} is open already, here or in another process") from exc
        if "Vector dimension error" in text or "expected vector size" in text:
            raise WrongDimension(text) from exc
        if "already contains segment data" in text:
            raise IndexExists(f"there is an index{where} already") from exc
        if any(sign in text for sign in ("cannot load edge shard", "no segments", "failed to load segment")):
            raise IndexMissing(f"no index{where}: {text}") from exc
        raise IndexFault(f"the index{where} failed: {text}") from exc
