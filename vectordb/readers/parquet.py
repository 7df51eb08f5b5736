"""Parquet and Arrow files: captions from one column, and vectors from the column ``vector`` if it exists.

Our own exports are such files, with the columns ``text`` and ``vector``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from vectordb.readers.columns import VECTOR, caption_of, opened, text_pieces, vectors_of
from vectordb.readers.rows import BadSource, OnProgress, Rows, packed


def has_vectors(path: Path) -> bool:
    """Whether a file has a vector column. Raises ``BadSource``."""
    return VECTOR in opened(path).schema.names


def read(path: Path, column: str | None, on_progress: OnProgress) -> Iterator[Rows]:
    """The captions of one file, a null as an empty text, with their vectors if the file has some."""
    columns = opened(path)
    name = caption_of(path, columns, column)
    size = path.stat().st_size
    if VECTOR not in columns.schema.names:
        pieces = text_pieces(path, columns, name)
        yield from packed(
            chain.from_iterable(_reported(on_progress, size, columns.count, row, texts) for row, texts, _ in pieces)
        )
        return
    kind = columns.schema.field(VECTOR).type
    if not hasattr(kind, "value_type"):
        raise BadSource(path, f"the column {VECTOR!r} holds {kind}, not lists of numbers")
    for row, texts, batch in text_pieces(path, columns, name, [VECTOR]):
        _reported(on_progress, size, columns.count, row, texts)
        yield Rows(texts, vectors_of(path, batch.column(VECTOR), row))


def _reported(on_progress: OnProgress, size: int, count: int, row: int, texts: list[str]) -> list[str]:
    """Report the progress of these texts and return them."""
    on_progress(size * (row + len(texts)) // count)
    return texts
