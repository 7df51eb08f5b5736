"""Reads columns of Parquet and Arrow files, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vectordb.index import Floats
from vectordb.readers.rows import DIMENSION_MAX, LONGEST, PIECE, BadSource

_ARROW, _STREAMED = b"ARROW1", b"\xff\xff\xff\xff"
# bytes of a column per read; without it, a whole row group is read
_BUFFER = 1 << 20
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
        texts = texts_of_column(batch.column(name))
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
    """A column of lists of floats, of any precision, as (n, d) float32. A missing vector or number is NaN.

    Raises ``BadSource`` for vectors of different lengths.
    """
    import pyarrow as pa  # noqa: PLC0415 -- heavy

    with translated(path, f"rows from {row + 1}"):
        if pa.types.is_fixed_size_list(column.type):
            column = column.cast(pa.list_(column.type.value_type))
        flat = column.flatten()
        lengths = np.asarray(column.value_lengths().fill_null(-1))
    there = lengths >= 0
    if not there.any():
        raise BadSource(path, "the vector is missing", f"row {row + 1}")
    dimension = int(lengths[there][0])
    if (lengths[there] != dimension).any():
        raise BadSource(path, "the vectors have different lengths", f"rows from {row + 1}")
    if dimension > DIMENSION_MAX:
        raise BadSource(
            path, f"its vectors have {dimension:,} dimensions, more than {DIMENSION_MAX:,}", f"row {row + 1}"
        )
    with translated(path, f"rows from {row + 1}"), np.errstate(over="ignore"):
        values = np.array(flat.to_numpy(zero_copy_only=False), dtype=np.float32).reshape(-1, dimension)
    if there.all():
        return values
    whole = np.full((len(lengths), dimension), np.nan, dtype=np.float32)
    whole[there] = values
    return whole


def _as_bytes(column: Any) -> Any:
    """A string column as bytes, without validation; any other column unchanged."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy

    kinds = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary(), pa.string_view(): pa.binary_view()}
    return column.view(kinds[column.type]) if column.type in kinds else column


def texts_of_column(column: Any) -> list[str]:
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
        texts = texts_of_column(column.slice(0, half))
        if len(texts) == half:
            texts += texts_of_column(column.slice(half))
    return texts


def is_text(kind: Any) -> bool:
    """Whether a column's type is some kind of string."""
    import pyarrow as pa  # noqa: PLC0415 -- heavy

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(kind) for test in (*tests, pa.types.is_binary, pa.types.is_large_binary, pa.types.is_null))
