"""The choice of the caption columns of Parquet and Arrow files, and rows with several captions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vectordb.readers.choice import Column, choose, column_of, texts_in
from vectordb.readers.columns import Columns, is_text, texts_of_column, translated
from vectordb.readers.content import EMPTY
from vectordb.readers.listed import NotListed, texts_of
from vectordb.readers.names import CAPTION_NAMES
from vectordb.readers.rows import LONGEST, PIECE, BadSource, Skipped

_SAMPLE = 100  # rows to choose the column by


@dataclass(frozen=True)
class Captions:
    """The caption columns of a file. ``listed``: a row holds several captions. ``written``: as the text of a list."""

    names: Sequence[str]
    listed: bool
    written: bool
    note: str | None = None


def caption_of(path: Path, columns: Columns, wanted: str | None) -> Captions:
    """The columns that hold the captions, by their names and first rows. Raises ``BadSource``."""
    names = list(columns.schema.names)
    kinds = [field.type for field in columns.schema]
    binary = {name for name, kind in zip(names, kinds, strict=True) if _is_binary(kind)}
    textual = [name for name, kind in zip(names, kinds, strict=True) if is_text(kind) or _is_list_of_texts(kind)]
    plain = [name for name in textual if name not in binary or name.lower() in CAPTION_NAMES]
    looked_at = plain or textual  # pictures are binary, too
    if wanted is not None:
        lowered = wanted.strip().lower()
        number = int(wanted) - 1 if wanted.isdecimal() and wanted not in names else -1
        asked = [name for i, name in enumerate(names) if name.strip().lower() == lowered or i == number]
        looked_at = [name for name in asked if name in textual]
        if asked and not looked_at:
            raise BadSource(path, f"the column {asked[0]!r} holds {kinds[names.index(asked[0])]}, not text")
    with translated(path):
        batch = (
            next(columns.batches(looked_at, _SAMPLE), None) if looked_at and len(set(names)) == len(names) else None
        )
    known: dict[str, Column] = {}
    if batch is not None:
        known = {name: column_of(name, _sample(batch.column(name))) for name in looked_at}
    described = [
        known.get(name) or Column(name, EMPTY if name in textual else str(kind), ())
        for name, kind in zip(names, kinds, strict=True)
    ]
    at, note = choose(path, described, wanted)
    with translated(path):  # a name may occur twice
        fields = [columns.schema.field(names[i]).type for i in at]
    for i, kind in zip(at, fields, strict=True):
        if names[i] not in textual:
            raise BadSource(path, f"the column {names[i]!r} holds {kind}, not text")
    written = described[at[0]].written
    listed = written or len(at) > 1 or any(map(_is_list_of_texts, fields))
    return Captions([names[i] for i in at], listed, written, note)


def single(path: Path, captions: Captions) -> str:
    """The name of the only caption column. Raises ``BadSource`` if a row holds several captions.

    For rows with vectors: a vector would belong to one of several captions, or to none.
    """
    if captions.listed:
        names = ", ".join(captions.names)
        raise BadSource(
            path,
            f"a row has several captions ({names}) but one vector, so they do not belong together. Choose one column"
            " with --column, or ignore the vectors with --no-vectors",
        )
    return captions.names[0]


def listed_pieces(
    path: Path, columns: Columns, captions: Captions
) -> Iterator[tuple[int, list[list[str | Skipped]]]]:
    """Pieces of at most 1,024 rows: the number of the first, from 0, and the captions of each row."""
    row = 0
    batches = columns.batches(captions.names, PIECE)
    while True:
        with translated(path, f"after row {row}"):
            batch = next(batches, None)
            if batch is None:
                break
            values = [_values(batch.column(name)) for name in captions.names]
        found: list[list[str | Skipped]] = []
        for number, parts in enumerate(zip(*values, strict=True), row + 1):
            texts: list[str | Skipped] = []
            for part in parts:
                try:
                    inner = texts_of(part)
                except NotListed as exc:
                    raise BadSource(path, f"it holds {exc}, not captions", f"row {number}") from exc
                for text in inner:
                    texts += texts_in(text, f"row {number}", written=captions.written)
            if sum(len(text) for text in texts if isinstance(text, str)) > LONGEST:
                raise BadSource(
                    path, f"it is longer than {LONGEST:,} characters: this is not a caption", f"row {number}"
                )
            found.append(texts or [""])
        if found:
            yield row, found
        row += len(found)
    if row != columns.count:
        raise BadSource(path, f"the file should have {columns.count:,} rows", f"after row {row}")


def _values(column: Any) -> list[object]:
    """The values of a column of texts or of lists of texts."""
    if is_text(column.type):
        return list(texts_of_column(column))
    values: list[object] = column.to_pylist()
    return values


def _sample(column: Any) -> list[object]:
    """As ``_values``, as many as can be read: damage is reported when the rows are read."""
    try:
        return _values(column)
    except MemoryError:
        raise
    except Exception:
        return []


def _is_list_of_texts(kind: Any) -> bool:
    """Whether a column holds lists of texts, or of objects with texts."""
    import pyarrow as pa  # type: ignore[import-untyped]  # noqa: PLC0415 -- no annotations; heavy

    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        return False
    inner = kind.value_type
    if pa.types.is_struct(inner):
        return any(
            is_text(inner.field(i).type) and not _is_binary(inner.field(i).type) for i in range(inner.num_fields)
        )
    return is_text(inner) and not _is_binary(inner)


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415 -- heavy

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
