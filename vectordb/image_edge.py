"""The embedded image index: a Qdrant Edge shard in a folder, in this process (see ``vectordb.edge_shard``).

On disk: ``index.json`` (with the dimension; written last) and the shard in ``shard/``. Vectors and payloads stay on
disk. What is compared first are codes of 4 bits a dimension in memory, and the best of them by their vectors. Codes
that follow from one vector alone (TurboQuant) exist for new images, too; int8 codes need the range of all values.

**Graph.** New images are found at once, by a scan of their codes. ``optimize`` adds them to graphs of at most
``SEGMENT`` images; it blocks this process, so ``vectordb.image_growth`` lets another one do it, on a copy.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import qdrant_edge as edge

from vectordb.disk_space import require_space
from vectordb.edge_shard import OpenShard, recorded_dimension, translated
from vectordb.image_edge_queries import filter_among, filter_of, search_params, sparse
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
from vectordb.index import Floats, IndexExists, WrongDimension, unit_rows
from vectordb.options import IndexOptions

DEFAULT = IndexOptions(m=16, ef_construct=128, ef=256, quantised=True)
SEGMENT = 200_000  # images in a graph; smaller ones are merged with new images up to this number
# images of one graph: if no more pass a filter, they are scanned, because the graph would find few of them
SCANNED = 50_000
RENEWED = 32_768  # images put between two reopenings of the shard: files of new ones stay mapped until then


class EdgeImages:
    """An ``ImageIndex`` on Qdrant Edge."""

    def __init__(self, path: Path, dimension: int, options: IndexOptions = DEFAULT) -> None:
        """Used by ``create`` and ``open``: the shard in ``path`` exists."""
        self.dimension = dimension
        self._path = path
        self._options = options
        self._put = 0
        self._packed = struct.Struct(f"{dimension}f").pack
        self._exact = edge.SearchParams(exact=True, quantization=edge.QuantizationSearchParams(ignore=True))
        self._shard = OpenShard(path / "shard")

    @classmethod
    def create(cls, path: Path, dimension: int, options: IndexOptions = DEFAULT) -> Self:
        """Create an empty index in the folder ``path``. Raises ``IndexExists``, ``DiskFull``."""
        sign = path / "index.json"
        if sign.exists():
            raise IndexExists(f"an index already exists at {path}")
        path.mkdir(parents=True, exist_ok=True)
        require_space(path, 0, "create an index")
        with translated(path):
            shard = edge.EdgeShard.create(str(path / "shard"), _config(dimension, options.decided(0)))
            for field in KEYWORDS:
                by_prefix = field == "key"
                kept = edge.KeywordIndexParams(memory=edge.Memory.Cold, enable_hnsw=False, prefix=by_prefix)
                shard.update(edge.UpdateOperation.create_field_index(field, kept))
            times = edge.DatetimeIndexParams(memory=edge.Memory.Cold, enable_hnsw=False)
            shard.update(edge.UpdateOperation.create_field_index(TAKEN, times))
            shard.close()
        sign.write_text(json.dumps({"dimension": dimension}))
        return cls(path, dimension, options)

    @classmethod
    def open(cls, path: Path, options: IndexOptions = DEFAULT) -> Self:
        """Open the index in the folder ``path``. Raises ``IndexMissing`` or ``IndexLocked``."""
        return cls(path, recorded_dimension(path, "there is no index of images"), options)

    def put(self, entries: Sequence[ImageEntry], vectors: Floats) -> None:
        """See ``ImageIndex.put``. Raises ``DiskFull``."""
        if len(entries) != len(vectors):
            raise WrongDimension(f"{len(entries)} images were given with {len(vectors)} vectors")
        rows = unit_rows(vectors, self.dimension)
        places = list(last_by_id(entries).items())
        for start in range(0, len(places), PAGE):
            part = places[start : start + PAGE]
            with self._shard.used() as shard:
                require_space(self._path, 2 * rows.itemsize * self.dimension * len(part), "keep images")
                known = shard.retrieve([number for number, _ in part], with_payload=True, with_vector=[WORDS])
                before = {cast("int", record.id): record for record in known}
                pairs = zip(part, rows[[at for _, at in part]].tolist(), strict=True)
                points = [_point(n, entries[at], row, before.get(n)) for (n, at), row in pairs]
                shard.update(edge.UpdateOperation.upsert_points(points))
                self._put += len(points)
                if self._put >= RENEWED:
                    self._shard.renew()
                    self._put = 0

    def label(self, labels: Sequence[ImageLabels]) -> None:
        """See ``ImageIndex.label``. Raises ``DiskFull``."""
        with self._shard.used() as shard:
            require_space(self._path, 0, "label images")
            changed = to_label(labels, lambda ids: shard.retrieve([*ids], [*COMPARED], [WORDS]))
            self._change([number for number, _ in changed])
            words = [(number, sparse(one.words)) for number, one in changed]
            vectors = [edge.PointVectors(number, cast("Any", {WORDS: of})) for number, of in words]
            shard.update(edge.UpdateOperation.update_vectors(vectors))
            # last: an image with its tags has its words, too, whenever the process is killed
            for number, one in changed:
                shard.update(edge.UpdateOperation.set_payload([number], {"tags": list(one.tags)}))

    def remove(self, ids: Sequence[int]) -> None:
        """See ``ImageIndex.remove``. Raises ``DiskFull``: the engine's log grows, too."""
        with self._shard.used() as shard:
            require_space(self._path, 0, "remove images")
            shard.update(edge.UpdateOperation.delete_points(list(ids)))

    def search(self, vectors: Floats, limit: int, where: ImageFilter = EVERYTHING) -> list[ImageHits]:
        """See ``ImageSearch.search``."""
        queries = unit_rows(vectors, self.dimension).tolist()
        params = search_params(self._options, limit)
        requests = [
            edge.QueryRequest(
                limit=limit, query=edge.Query.Nearest(query, using=IMAGE), filter=filter_of(where),
                with_payload=True, params=params,
            )
            for query in queries
        ]  # fmt: skip
        with self._shard.used() as shard:
            return [hits_of(found) for found in shard.query_batch(edge.QueryBatchRequest(requests))]

    def search_words(self, words: Mapping[str, float], limit: int, where: ImageFilter = EVERYTHING) -> ImageHits:
        """See ``ImageSearch.search_words``."""
        if not words:
            return ImageHits((), ())
        request = edge.QueryRequest(
            limit=limit,
            query=edge.Query.Nearest(sparse(words), using=WORDS),
            filter=filter_of(where),
            with_payload=True,
        )
        with self._shard.used() as shard:
            return hits_of(shard.query(request))

    def ids_after(self, after: int, limit: int) -> list[int]:
        """See ``ImageSearch.ids_after``."""
        if after >= 2**64 - 1:
            return []
        request = edge.ScrollRequest(offset=after + 1, limit=limit, with_payload=False, with_vector=False)
        with self._shard.used() as shard:
            found, _ = shard.scroll(request)
        return [cast("int", record.id) for record in found]

    def concerned(
        self, vector: Floats, hubness: float, captions_version: str, part: Sequence[int] | None = None
    ) -> list[ImageEntry]:
        """See ``ImageSearch.concerned``: an exact scan, then the rank values above the floors."""
        (query,) = unit_rows(vector[None], self.dimension).tolist()
        version = ImageFilter(captions_version=captions_version)
        where = filter_of(version) if part is None else filter_among(part, captions_version)
        total = max(1, self.count(version) if part is None else len(part))
        every = edge.Prefetch(
            limit=total, query=edge.Query.Nearest(query, using=IMAGE), filter=where, params=self._exact
        )
        above = edge.Expression.Sum([edge.Expression.Variable("$score"), edge.Expression.Neg(_FLOOR)])
        request = edge.QueryRequest(
            limit=total, query=edge.Formula(above), prefetches=[every], score_threshold=hubness - MARGIN,
            with_payload=True,
        )  # fmt: skip
        with self._shard.used() as shard:
            found = hits_of(shard.query(request))
        pairs = zip(found.entries, found.scores, strict=True)
        return [entry for entry, score in pairs if score + entry.floor >= entry.bound - MARGIN]

    def get(self, ids: Sequence[int]) -> tuple[list[ImageEntry], Floats]:
        """See ``ImageSearch.get``."""
        with self._shard.used() as shard:
            found = shard.retrieve(sorted(set(ids)), with_payload=True, with_vector=[IMAGE])
        return self._read(sorted(found, key=lambda record: record.id))

    def pages(self, after: int = -1, where: ImageFilter = EVERYTHING) -> Iterator[tuple[list[ImageEntry], Floats]]:
        """See ``ImageSearch.pages``. Images that are put meanwhile may or may not be included."""
        offset: Any = after + 1
        while offset is not None and offset < 2**64:
            request = edge.ScrollRequest(
                offset=offset, limit=PAGE, filter=filter_of(where), with_payload=True, with_vector=[IMAGE]
            )
            with self._shard.used() as shard:
                found, offset = shard.scroll(request)
            if found:
                yield self._read(found)

    def entries(self, after: int = -1) -> Iterator[list[ImageEntry]]:
        """See ``ImageSearch.entries``."""
        offset: Any = after + 1
        while offset is not None and offset < 2**64:
            request = edge.ScrollRequest(offset=offset, limit=PAGE, with_payload=True, with_vector=False)
            with self._shard.used() as shard:
                found, offset = shard.scroll(request)
            if found:
                yield [entry_of(record.payload) for record in found]

    def facts(self, ids: Sequence[int]) -> list[ImageFact]:
        """See ``ImageSearch.facts``."""
        with self._shard.used() as shard:
            found = shard.retrieve(sorted(set(ids)), with_payload=list(COMPARED), with_vector=[WORDS])
        return [fact_of(one.payload, one.vector) for one in sorted(found, key=lambda record: record.id)]

    def facts_after(self, after: int, limit: int) -> list[ImageFact]:
        """See ``ImageSearch.facts_after``."""
        if after >= 2**64 - 1:
            return []
        request = edge.ScrollRequest(offset=after + 1, limit=limit, with_payload=list(COMPARED), with_vector=[WORDS])
        with self._shard.used() as shard:
            found, _ = shard.scroll(request)
        return [fact_of(one.payload, one.vector) for one in found]

    def count(self, where: ImageFilter = EVERYTHING) -> int:
        """See ``ImageSearch.count``."""
        with self._shard.used() as shard:
            return shard.count(edge.CountRequest(exact=True, filter=filter_of(where)))

    def optimize(self, threads: int = 0) -> None:
        """Build graphs over everything that was put so far, then flush. Blocks the whole process.

        ``threads``: 0 for all cores.
        """
        with self._shard.used():
            self._shard.renew(_config(self.dimension, self._options.decided(self.count()), threads))
            with self._shard.used() as reopened:
                reopened.optimize()
                reopened.flush()

    def maintain(self) -> None:
        """See ``ImageIndex.maintain``. Does nothing: call ``optimize``, or use ``GrowingImages``."""

    def close(self) -> None:
        """See ``ImageIndex.close``. Does nothing in a forked child: the parent is the owner."""
        self._shard.close()

    def _change(self, ids: Sequence[int]) -> None:
        pass  # images are about to be labelled

    def _read(self, found: Sequence[edge.Record]) -> tuple[list[ImageEntry], Floats]:
        vectors = [cast("dict[str, list[float]]", record.vector)[IMAGE] for record in found]
        packed = bytearray().join([self._packed(*vector) for vector in vectors])
        return [entry_of(r.payload) for r in found], np.frombuffer(packed, np.float32).reshape(-1, self.dimension)


_FLOOR = edge.Expression.Variable("floor")


def _point(number: int, entry: ImageEntry, vector: list[float], before: edge.Record | None) -> edge.Point:
    """The point of an image, with the words and tags of the same version that is stored."""
    vectors: dict[str, Any] = {IMAGE: vector}
    if before is not None and entry_of(before.payload).etag == entry.etag:
        vectors |= cast("dict[str, Any]", before.vector or {})
        entry = entry if entry.tags else replace(entry, tags=entry_of(before.payload).tags)
    return edge.Point(number, vectors, payload_of(entry))


def _config(dimension: int, options: IndexOptions, threads: int = 0) -> edge.EdgeConfig:
    """The library's configuration for ``options`` without unset values."""
    codes = edge.TurboQuantQuantizationConfig(bits=edge.TurboQuantBitSize.Bits4, memory=edge.Memory.Pinned)
    image = edge.EdgeVectorParams(
        size=dimension, distance=edge.Distance.Cosine, memory=edge.Memory.Cold,
        quantization_config=codes if options.quantised else None,
    )  # fmt: skip
    return edge.EdgeConfig(
        vectors={IMAGE: image},
        sparse_vectors={WORDS: edge.EdgeSparseVectorParams(memory=edge.Memory.Cold)},
        payload_memory=edge.Memory.Cold,
        hnsw_config=edge.HnswIndexConfig(
            m=options.m,
            ef_construct=options.ef_construct,
            full_scan_threshold=SCANNED * dimension * 4 // 1024,
            max_indexing_threads=threads,
        ),
        optimizers=edge.EdgeOptimizersConfig(
            default_segment_number=1, indexing_threshold=1, max_segment_size=SEGMENT * dimension * 4 // 1024
        ),
    )
