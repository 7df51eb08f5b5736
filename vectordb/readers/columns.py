"""Reads columns of Parquet and Arrow files, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vectordb.index import Floats
from vectordb.readers.choice import Column, choose, column_of, texts_in
from vectordb.readers.content import EMPTY
from vectordb.readers.listed import NotListed, texts_of
from vectordb.readers.names import CAPTION_NAMES
from vectordb.readers.rows import DIMENSION_MAX, LONGEST, PIECE, BadSource, Skipped

_ARROW, _STREAMED = b"ARROW1", b"\xff\xff\xff\xff"
# bytes of a column per read; without it, a whole row group is read
_BUFFER = 1 << 20
_SAMPLE = 100  # rows to choose the column by
# the vector column in our own exports
VECTOR = "vector"


class Columns(Protocol):
    """An open file. ``schema`` is pyarrow's; ``count`` its number of rows."""

    schema: Any
    count: int

    def batches(self, names: Sequence[str], size: int) -> Iterator[Any]:
        """These columns of all rows, as pyarrow's record batches of at most ``size`` rows."""
        ...


class _Parquet:
    def __init__(self, path: Path) -> None:
        from pyarrow import parquet  # type: ignore[import-untyped]  # noqa: PLC0415 -- no annotations; heavy

        self._file = parquet.ParquetFile(path, buffer_size=_BUFFER)
        self.schema = self._file.schema_arrow
        self.count: int = self._file.metadata.num_rows

    def batches(self, names: Sequence[str], size: int) -> Iterator[Any]:
        for group in range(self._file.num_row_groups):  # one by one, so that a damaged one does not affect the others
            yield from self._file.iter_batches(size, row_groups=[group], columns=list(names))


class _Arrow:
    def __init__(self, path: Path) -> None:
        import pyarrow as pa  # noqa: PLC0415 -- heavy

        self._map = pa.memory_map(str(path), "r")
        self._streamed = self._map.read_buffer(6).to_pybytes() != _ARROW
        self._map.seek(0)
        reader = self._reader()
        self.schema = reader.schema
        self.count = sum(batch.num_rows for batch in self._all())

    def batches(self, names: Sequence[str], size: int) -> Iterator[Any]:
        for batch in self._all():
            chosen = batch.select(list(names))
            for start in range(0, batch.num_rows, size):
                piece = chosen.slice(start, size)
                for column in piece.columns:
                    _as_bytes(column).validate(full=True)  # otherwise damaged offsets could point outside the file
                yield piece

    def _reader(self) -> Any:
        import pyarrow as pa  # noqa: PLC0415 -- heavy

        self._map.seek(0)
        return pa.ipc.open_stream(self._map) if self._streamed else pa.ipc.open_file(self._map)

    def _all(self) -> Iterator[Any]:
        reader = self._reader()
        if self._streamed:
            yield from reader
        else:
            yield from map(reader.get_batch, range(reader.num_record_batches))


@contextmanager
def translated(path: Path, position: str | None = None) -> Iterator[None]:
    """Translates errors of pyarrow and numpy while reading a file to ``BadSource``."""
    try:
        yield
    except (BadSource, MemoryError):  # pyarrow's error of lack of memory is one, too
        raise
    except Exception as exc:  # damaged headers cause errors of any type, also the tokenizer's
        fault = ascii(str(exc).split("\n", maxsplit=1)[0][:300])[1:-1]  # they may contain data of the file
        raise BadSource(path, f"the file is damaged, truncated, or of another format: {fault}", position) from exc


def opened(path: Path) -> Columns:
    """Open a Parquet or Arrow file, detected by its first bytes. Raises ``BadSource``."""
    with translated(path):
        with path.open("rb") as file:
            magic = file.read(6)
        kind = _Parquet if magic[:4] == b"PAR1" else _Arrow if magic == _ARROW or magic[:4] == _STREAMED else None
        if kind is not None:
            columns = kind(path)
            columns.schema.names  # noqa: B018 -- raises if names are damaged
            return columns
    raise BadSource(path, "this is neither a Parquet nor an Arrow file" + (": it is empty" if not magic else ""))


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
    textual = [name for name, kind in zip(names, kinds, strict=True) if _is_text(kind) or _is_list_of_texts(kind)]
    plain = [name for name in textual if name not in binary or name.lower() in CAPTION_NAMES]
    looked_at = plain or textual  # pictures are binary, too
    if wanted is not None:
        lowered = wanted.strip().lower()
        at = int(wanted) - 1 if wanted.isdecimal() and wanted not in names else -1
        asked = [name for i, name in enumerate(names) if name.strip().lower() == lowered or i == at]
        looked_at = [name for name in asked if name in textual]
        if asked and not looked_at:
            raise BadSource(path, f"the column {asked[0]!r} holds {kinds[names.index(asked[0])]}, not text")
    with translated(path):
        batch = next(columns.batches(looked_at, _SAMPLE), None) if looked_at and len(set(names)) == len(names) else None
    known = {}
    for name in looked_at if batch is not None else ():
        known[name] = column_of(name, _sample(batch.column(name)))
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


def listed_pieces(path: Path, columns: Columns, captions: Captions) -> Iterator[tuple[int, list[list[str | Skipped]]]]:
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


def text_pieces(
    path: Path, columns: Columns, name: str, extra: Sequence[str] = ()
) -> Iterator[tuple[int, list[str], Any]]:
    """Pieces of at most 1,024 rows: the number of the first, from 0, their texts, and their batch.

    The batch includes the columns in ``extra``. A null is an empty text. Raises ``BadSource`` after the rows before
    the fault; of a damaged row group up to 1,023 rows are lost.
    """
    row = 0
    batches = columns.batches(list(dict.fromkeys([name, *extra])), PIECE)
    while True:
        with translated(path, f"after row {row}"):
            batch = next(batches, None)
        if batch is None:
            break
        texts = _texts(batch.column(name))
        for number, text in enumerate(texts, row + 1):
            if len(text) > LONGEST:
                raise BadSource(
                    path, f"it is longer than {LONGEST:,} characters: this is not a caption", f"row {number}"
                )
        if texts:
            yield row, texts, batch.slice(0, len(texts))
        row += len(texts)
        if len(texts) < batch.num_rows:
            raise BadSource(path, "the text is not UTF-8", f"row {row + 1}")
    if row != columns.count:
        raise BadSource(path, f"the file should have {columns.count:,} rows", f"after row {row}")


def vectors_of(path: Path, column: Any, row: int) -> Floats:
    """A column of lists of numbers as (n, d) float32. Raises ``BadSource``."""
    if column.null_count:
        first = next(i for i, value in enumerate(column) if not value.is_valid)
        raise BadSource(path, "the vector is missing", f"row {row + first + 1}")
    flat = column.flatten()
    lengths = np.asarray(column.value_lengths())
    if (lengths != lengths[0]).any() or flat.null_count:
        raise BadSource(path, "the vectors have different lengths or missing values", f"rows from {row + 1}")
    if len(lengths) and lengths[0] > DIMENSION_MAX:
        raise BadSource(
            path, f"its vectors have {lengths[0]:,} dimensions, more than {DIMENSION_MAX:,}", f"row {row + 1}"
        )
    with translated(path, f"rows from {row + 1}"):
        return np.array(flat.to_numpy(zero_copy_only=False), dtype=np.float32).reshape(len(column), -1)


def _as_bytes(column: Any) -> Any:
    """A string column as bytes, without validation; any other column unchanged."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy

    kinds = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary(), pa.string_view(): pa.binary_view()}
    return column.view(kinds[column.type]) if column.type in kinds else column


def _texts(column: Any) -> list[str]:
    """The texts of a column, up to the first that is not UTF-8."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy

    strings = column
    try:
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            strings = column.cast(pa.large_string())
        if strings.null_count:
            strings = strings.fill_null("")
        texts: list[str] = strings.to_numpy(zero_copy_only=False).tolist()
    except MemoryError:  # pyarrow's is an ArrowException, too
        raise
    except (pa.ArrowException, UnicodeDecodeError):
        if len(column) == 1:
            return []
        half = len(column) // 2
        texts = _texts(column.slice(0, half))
        if len(texts) == half:
            texts += _texts(column.slice(half))
    return texts


def _values(column: Any) -> list[object]:
    """The values of a column of texts or of lists of texts."""
    if _is_text(column.type):
        return list(_texts(column))
    values: list[object] = column.to_pylist()
    return values


def _sample(column: Any) -> list[object]:
    """As ``_values``, as many as can be read: damage is reported when the rows are read."""
    try:
        return _values(column)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 -- libraries raise any type for damaged data
        return []


def _is_list_of_texts(kind: Any) -> bool:
    """Whether a column holds lists of texts, or of objects with texts."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy

    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        return False
    inner = kind.value_type
    if pa.types.is_struct(inner):
        return any(_is_text(inner.field(i).type) and not _is_binary(inner.field(i).type) for i in range(inner.num_fields))
    return _is_text(inner) and not _is_binary(inner)


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415 -- heavy

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_text(kind: Any) -> bool:
    """Whether a column's type is some kind of string."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(kind) for test in (*tests, pa.types.is_binary, pa.types.is_large_binary, pa.types.is_null))
