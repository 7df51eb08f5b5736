"""Parquet and Arrow files: captions from one column, and vectors from the column ``vector`` if it exists.

Our own exports are such files, with the columns ``text`` and ``vector``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from vectordb.readers.caption_columns import Captions, caption_of, listed_pieces, single
from vectordb.readers.columns import VECTOR, Columns, opened, text_pieces, vectors_of
from vectordb.readers.rows import FAILED, BadSource, OnProgress, Rows, Skipped, packed, skip

# of a picture's download, in the tables of img2dataset
_STATUS, _SUCCESS = "status", "success"


def has_vectors(path: Path) -> bool:
    """Whether a file has a vector column. Raises ``BadSource``."""
    return VECTOR in opened(path).schema.names


def read(path: Path, column: str | None, on_progress: OnProgress) -> Iterator[Rows]:
    """The captions of one file, a null as an empty text, with their vectors if the file has some.

    A row may hold a list of captions, if there are no vectors. Rows whose column ``status`` says that their download
    failed are left out, as img2dataset writes them.
    """
    columns = opened(path)
    captions = caption_of(path, columns, column)
    notes = [captions.note] if captions.note else []
    size = path.stat().st_size

    def report(row: int, count: int) -> None:
        on_progress(size * (row + count) // columns.count)

    if VECTOR not in columns.schema.names:
        yield from packed(_texts(path, columns, captions, report), notes)
        return
    name = single(path, captions)
    kind = columns.schema.field(VECTOR).type
    if not hasattr(kind, "value_type") or not _is_float(kind.value_type):
        raise BadSource(path, f"the column {VECTOR!r} holds {kind}, not lists of floats")
    for row, texts, batch in text_pieces(path, columns, name, [VECTOR]):
        report(row, len(texts))
        yield Rows(texts, vectors_of(path, batch.column(VECTOR), row), {}, notes if not row else ())


def _texts(
    path: Path, columns: Columns, captions: Captions, report: Callable[[int, int], None]
) -> Iterator[str | Skipped]:
    if captions.listed:
        for row, found in listed_pieces(path, columns, captions):
            report(row, len(found))
            yield from chain.from_iterable(found)
        return
    names = columns.schema.names
    status = [_STATUS] if _STATUS in names and "key" in names else []
    for row, texts, batch in text_pieces(path, columns, captions.names[0], status):
        report(row, len(texts))
        states = batch.column(_STATUS).to_pylist() if status else [_SUCCESS] * len(texts)
        for number, (text, state) in enumerate(zip(texts, states, strict=True), row + 1):
            yield text if state == _SUCCESS else skip(FAILED, f"its status is {str(state)[:40]!r}", f"row {number}")


def _is_float(kind: Any) -> bool:
    import pyarrow as pa  # type: ignore[import-untyped]  # noqa: PLC0415 -- no annotations; heavy

    return bool(pa.types.is_floating(kind) or pa.types.is_null(kind))
