"""Captions from column files, with vectors from another file, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from vectordb.index import Floats
from vectordb.readers.caption_columns import caption_of, single
from vectordb.readers.columns import opened, text_pieces
from vectordb.readers.rows import BadSource, OnProgress, Rows

# returns the vectors of rows a to b as a copy
Fetch = Callable[[int, int], Floats]


def read(
    path: Path, count: int, fetch: Fetch, metadata: Sequence[Path], column: str | None, on_progress: OnProgress
) -> Iterator[Rows]:
    """The captions in ``metadata``, one file after another, with the ``count`` vectors of ``path``.

    Raises ``BadSource`` before the first row if the counts differ: the vectors could not be assigned.
    """
    tables = [(file, opened(file)) for file in metadata]
    captions = sum(columns.count for _, columns in tables)
    if captions != count:
        raise BadSource(
            path, f"it holds {count:,} vectors, but there are {captions:,} captions in {metadata[0].parent}"
        )
    size = path.stat().st_size + sum(file.stat().st_size for file in metadata)
    done = 0
    for file, columns in tables:
        for _, texts, _ in text_pieces(file, columns, single(file, caption_of(file, columns, column))):
            yield Rows(texts, fetch(done, done + len(texts)))
            done += len(texts)
            on_progress(size * done // count)
