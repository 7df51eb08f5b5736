"""Exact search over a matrix in memory, used as reference for approximate indexes.

Every search computes the product with all stored vectors, so it is exact but slow: suitable for some ten thousand
captions. ``save`` and ``close`` write one ``.npz`` file atomically.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from vectordb.captions import SOURCE, Caption
from vectordb.index import PAGE, Floats, IndexExists, IndexMissing, Neighbours, paired, unit_rows


class ExactIndex:
    """A ``CaptionIndex`` of numpy arrays. Concurrent searches are safe, but not while captions are added."""

    def __init__(self, dimension: int, path: Path | None = None) -> None:
        """An empty index; without ``path`` it exists in memory only."""
        self.dimension = dimension
        self._path = path
        self._captions: dict[int, Caption] = {}
        self._rows: dict[int, Floats] = {}
        self._ordered: tuple[list[Caption], Floats] | None = None

    @classmethod
    def create(cls, path: Path, dimension: int) -> Self:
        """Create an index in the file ``path``. Raises ``IndexExists``."""
        if path.exists():
            raise IndexExists(f"an index already exists at {path}")
        index = cls(dimension, path)
        index.save()
        return index

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the index saved at ``path``. Raises ``IndexMissing``."""
        try:
            with np.load(path, allow_pickle=False) as saved:
                vectors: Floats = saved["vectors"]
                ids = saved["ids"].tolist()
                texts: list[tuple[str, dict[str, object]]] = json.loads(saved["texts"].tobytes())
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as exc:
            raise IndexMissing(f"there is no index at {path}: {exc}") from exc
        index = cls(vectors.shape[1], path)
        for row, (caption_id, (text, payload)) in enumerate(zip(ids, texts, strict=True)):
            index._captions[caption_id] = Caption(caption_id, text, payload)
            index._rows[caption_id] = vectors[row]
        return index

    def add(self, captions: Sequence[Caption], vectors: Floats) -> None:
        """See ``CaptionIndex.add``."""
        rows = paired(captions, vectors, self.dimension)
        # through JSON and back, so that results are the same after reopening
        kept = [Caption(c.id, c.text, json.loads(json.dumps(dict(c.payload)))) for c in captions]
        for caption, row in zip(kept, rows, strict=True):
            self._captions[caption.id] = caption
            self._rows[caption.id] = row
        self._ordered = None

    def search(self, vectors: Floats, limit: int) -> list[Neighbours]:
        """See ``CaptionIndex.search``."""
        queries = unit_rows(vectors, self.dimension)
        captions, matrix = self._in_order()
        found = []
        for query in queries:
            # one row at a time: a matrix product may round a row differently in different batches
            similarities = matrix @ query
            # stable, over rows in the order of ids: ties are ordered by id
            best = np.argsort(-similarities, kind="stable")[:limit]
            found.append(Neighbours(tuple(captions[i] for i in best), similarities[best], matrix[best]))
        return found

    def count(self) -> int:
        """See ``CaptionIndex.count``."""
        return len(self._captions)

    def remove(self, ids: Sequence[int]) -> None:
        """See ``CaptionIndex.remove``."""
        for caption_id in ids:
            self._captions.pop(caption_id, None)
            self._rows.pop(caption_id, None)
        self._ordered = None

    def get(self, ids: Sequence[int]) -> list[Caption]:
        """See ``CaptionIndex.get``."""
        return [self._captions[caption_id] for caption_id in sorted(set(ids)) if caption_id in self._captions]

    def pages(
        self, source: str | None = None, after: int = -1, *, taught: bool = False
    ) -> Iterator[tuple[list[Caption], Floats]]:
        """See ``CaptionIndex.pages``."""
        captions, matrix = self._in_order()
        rows = [
            row
            for row, caption in enumerate(captions)
            if caption.id > after
            and (source is None or caption.payload.get(SOURCE) == source)
            and (not taught or SOURCE in caption.payload)
        ]
        for start in range(0, len(rows), PAGE):
            part = rows[start : start + PAGE]
            yield [captions[row] for row in part], matrix[part]

    def save(self) -> None:
        """Write a new file and rename it over the old one. Does nothing without a path."""
        if self._path is None:
            return
        captions, matrix = self._in_order()
        texts = json.dumps([(caption.text, caption.payload) for caption in captions]).encode()
        beside = self._path.with_name(self._path.name + ".part")
        with beside.open("wb") as file:
            np.savez(
                file,
                vectors=matrix,
                ids=np.array([caption.id for caption in captions], dtype=np.uint64),
                texts=np.frombuffer(texts, dtype=np.uint8),
            )
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)

    def close(self) -> None:
        """See ``CaptionIndex.close``: saves."""
        self.save()

    def _in_order(self) -> tuple[list[Caption], Floats]:
        """Captions and their (n, dimension) matrix in the order of ids; rebuilt after an ``add``."""
        if self._ordered is None:
            ids = sorted(self._captions)
            matrix = np.array([self._rows[i] for i in ids], dtype=np.float32).reshape(-1, self.dimension)
            self._ordered = [self._captions[i] for i in ids], matrix
        return self._ordered
