"""Exports captions in formats that the readers can read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vectordb.captions import Caption
from vectordb.errors import Permanent
from vectordb.index import Floats

Write = Callable[[Sequence[Caption], Floats], None]
"""Receives a page of captions and their vectors (n, d)."""


class UnknownFormat(Permanent):
    """The file's suffix is not that of a supported export format."""


@contextmanager
def exporter(file: Path | None, dimension: int) -> Iterator[Write]:
    """Writes pages to a .txt, .jsonl or .parquet file atomically; without a file, lines to standard output.

    Only Parquet includes the vectors, in columns ``text`` and ``vector``. JSON lines contain the text as ``caption``
    and the payload. Raises ``UnknownFormat``.
    """
    if file is None:
        yield _lines(print, _text)
        return
    if file.suffix not in (".txt", ".jsonl", ".parquet"):
        raise UnknownFormat(f"{file}: unknown export format; use a .txt, .jsonl or .parquet file")
    part = file.with_name(f".{file.name}.part")
    try:
        if file.suffix == ".parquet":
            with _parquet(part, dimension) as write:
                yield write
        else:
            with part.open("w", encoding="utf-8") as out:
                yield _lines(lambda text: print(text, file=out), _text if file.suffix == ".txt" else _json)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _lines(put: Callable[[str], object], form: Callable[[Caption], str]) -> Write:
    def write(captions: Sequence[Caption], _: Floats) -> None:
        for caption in captions:
            put(form(caption))

    return write


def _text(caption: Caption) -> str:
    return caption.text


def _json(caption: Caption) -> str:
    return json.dumps({"caption": caption.text, **caption.payload}, ensure_ascii=False)


@contextmanager
def _parquet(file: Path, dimension: int) -> Iterator[Write]:
    import pyarrow as pa  # type: ignore[import-untyped] # no stubs # noqa: PLC0415 -- heavy, and only this format needs it
    import pyarrow.parquet as pq  # type: ignore[import-untyped] # as above # noqa: PLC0415 -- as above

    schema = pa.schema([("text", pa.string()), ("vector", pa.list_(pa.float32(), dimension))])
    with pq.ParquetWriter(file, schema) as out:

        def write(captions: Sequence[Caption], vectors: Floats) -> None:
            flat = pa.array(vectors.reshape(-1), pa.float32())
            columns = [
                pa.array([caption.text for caption in captions]),
                pa.FixedSizeListArray.from_arrays(flat, dimension),
            ]
            out.write_table(pa.table(columns, schema=schema))

        yield write
