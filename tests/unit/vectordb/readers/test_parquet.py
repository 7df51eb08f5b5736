"""Parquet and Arrow: columns, vectors, damage."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # has no annotations
import pytest
from pyarrow import parquet

from tests.unit.vectordb.readers.reading import broken, read, written
from vectordb.readers import source_of

CAPTIONS = [f"a photo of thing {i}" for i in range(3000)]
VECTORS = np.random.default_rng(0).normal(size=(3000, 8)).astype(np.float32)


def lists(vectors: Any) -> Any:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])


def table(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    parquet.write_table(pa.table(columns), path, **options)
    return path


def arrow(path: Path, columns: dict[str, Any], *, streamed: bool = False) -> Path:
    content = pa.table(columns)
    new = pa.ipc.new_stream if streamed else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as file, new(file, content.schema) as out:
        out.write_table(content, max_chunksize=1300)
    return path


def test_the_likeliest_column_is_read(tmp_path: Path) -> None:
    """In pieces of 1,024, whatever the row groups, and by name or number when asked for."""
    path = table(
        tmp_path / "a.parquet", {"URL": ["u"] * 3000, "TEXT": CAPTIONS, "n": range(3000)}, row_group_size=700
    )
    assert [len(rows.texts) for rows in source_of([path]).read()] == [1024, 1024, 952]
    assert read(path) == read(path, column="2") == CAPTIONS
    assert read(path, column="URL") == ["u"] * 3000
    assert not source_of([path]).has_vectors


@pytest.mark.parametrize("streamed", [True, False])
def test_arrow_files_are_read_in_both_their_kinds(tmp_path: Path, streamed: bool) -> None:
    """What is written for memory mapping and what is written as a stream."""
    path = arrow(tmp_path / "a.arrow", {"caption": CAPTIONS, "vector": lists(VECTORS)}, streamed=streamed)
    assert read(path) == CAPTIONS
    np.testing.assert_array_equal(np.concatenate([rows.vectors for rows in source_of([path]).read()]), VECTORS)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), "dictionary"])
def test_text_of_any_kind_is_text_and_null_is_empty(tmp_path: Path, kind: Any) -> None:
    """Rows are never left out, so that they can be counted."""
    column = pa.array(["a cat", None, "über"])
    column = column.dictionary_encode() if kind == "dictionary" else column.cast(kind)
    assert read(arrow(tmp_path / "a.arrow", {"text": column})) == ["a cat", "", "über"]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_our_own_export_brings_its_vectors(tmp_path: Path, kind: Any) -> None:
    """Row by row, as float32, neither normalised nor changed."""
    vectors = VECTORS.astype(kind)
    path = table(tmp_path / "a.parquet", {"text": CAPTIONS, "vector": lists(vectors)}, row_group_size=700)
    source = source_of([path])
    assert source.has_vectors
    pieces = list(source.read())
    assert [text for rows in pieces for text in rows.texts] == CAPTIONS
    found = np.concatenate([rows.vectors for rows in pieces])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, vectors.astype(np.float32))
    assert all(len(rows.texts) <= 1024 for rows in pieces)


def test_lists_of_one_length_are_vectors_too(tmp_path: Path) -> None:
    """Most writers know no lists of fixed size."""
    path = table(tmp_path / "a.parquet", {"text": ["a", "b"], "vector": [[1.0, 2.0], [3.0, 4.0]]})
    (rows,) = source_of([path]).read()
    np.testing.assert_array_equal(rows.vectors, [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("vectors", "said", "position"),
    [
        ([None, None, None], "not lists of floats", None),
        ([[1.0], [2.0], [3.0, 4.0]], "different lengths", "rows from 1"),
        ([1.0, 2.0, 3.0], "not lists of floats", None),
        ([["a"], ["b"], ["c"]], "not lists of floats", None),
        ([[1], [2], [3]], "not lists of floats", None),
    ],
)
def test_rows_without_proper_vectors_are_refused(
    tmp_path: Path, vectors: list[Any], said: str, position: str | None
) -> None:
    """A vector is never guessed, and never moves to another row."""
    fault = broken(table(tmp_path / "a.parquet", {"text": ["a", "b", "c"], "vector": vectors}))[1]
    assert said in fault.fault
    assert fault.position == position


def test_a_missing_vector_or_number_is_no_number(tmp_path: Path) -> None:
    """So the row is left out by whoever builds, and the others keep theirs."""
    for vectors in ([[1.0], None, [3.0]], [[1.0], [None], [3.0]]):
        (rows,) = source_of([table(tmp_path / "a.parquet", {"text": ["a", "b", "c"], "vector": vectors})]).read()
        np.testing.assert_array_equal(rows.vectors, np.array([[1], [np.nan], [3]], np.float32))


def test_files_with_and_without_vectors_do_not_mix(tmp_path: Path) -> None:
    """What is promised for the first file holds for all."""
    first = table(tmp_path / "a.parquet", {"text": CAPTIONS, "vector": lists(VECTORS)})
    second = table(tmp_path / "b.parquet", {"text": CAPTIONS})
    texts, fault = broken(first, second)
    assert texts == CAPTIONS
    assert fault.path == second


@pytest.mark.parametrize("column", ["caption", "5", "0"])
def test_a_missing_column_is_answered_with_those_there_are(tmp_path: Path, column: str) -> None:
    """And a column of numbers is no text."""
    path = table(tmp_path / "a.parquet", {"url": ["u"], "said": ["a cat"], "n": [1], "more": ["a dog"]})
    assert f"no column '{column}'; the columns are: url, said, n, more" in broken(path, column=column)[1].fault
    assert "choose one of: url, said, n, more" in broken(path)[1].fault
    assert "holds int64, not text" in broken(path, column="n")[1].fault


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    """Parquet has its table of contents at the end; Arrow, too."""
    for path in (
        table(tmp_path / "a.parquet", {"caption": CAPTIONS}),
        arrow(tmp_path / "a.arrow", {"caption": CAPTIONS}),
        arrow(tmp_path / "b.arrow", {"caption": CAPTIONS}, streamed=True),
    ):
        written(path, path.read_bytes()[: path.stat().st_size // 2])
        assert "truncated" in broken(path)[1].fault


def test_damage_in_the_middle_comes_after_what_stands_before_it(tmp_path: Path) -> None:
    """Row groups that are whole are read; the fault names the row."""
    path = table(
        tmp_path / "a.parquet", {"caption": CAPTIONS}, row_group_size=1000, use_dictionary=False, compression="zstd"
    )
    start = parquet.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + 500] = b"\xff" * 500
    texts, fault = broken(written(path, bytes(data)))
    assert texts == CAPTIONS[: len(texts)]
    assert len(texts) >= 1000
    assert fault.position == f"after row {len(texts)}"


def test_text_that_is_not_utf8_stops_at_its_row(tmp_path: Path) -> None:
    """The rows before it are given."""
    texts = [text.encode() for text in CAPTIONS]
    texts[1500] = b"caf\xe9"
    for vectors in ({}, {"vector": lists(VECTORS)}):
        before, fault = broken(arrow(tmp_path / "a.arrow", {"caption": pa.array(texts), **vectors}))
        assert before == CAPTIONS[:1500]
        assert fault.position == "row 1501"


def test_names_that_are_none_or_two_are_told(tmp_path: Path) -> None:
    """A damaged name, and one that two columns have."""
    path = table(tmp_path / "a.parquet", {"caption": CAPTIONS})
    path.write_bytes(path.read_bytes().replace(b"caption", b"\xff\xfeption"))
    assert broken(path)[1].path == path
    parquet.write_table(pa.table([["a cat"], ["a dog"]], names=["caption", "caption"]), path)
    assert broken(path)[1].path == path


@pytest.mark.parametrize("data", [b"", b"id,caption\n1,a cat\n"])
def test_another_kind_of_file_is_told(tmp_path: Path, data: bytes) -> None:
    """A CSV that is given as Parquet, and nothing at all."""
    assert "neither a Parquet nor an Arrow file" in broken(written(tmp_path / "a.parquet", data))[1].fault


def test_an_empty_table_has_no_rows(tmp_path: Path) -> None:
    """No rows are no fault."""
    assert read(table(tmp_path / "a.parquet", {"caption": pa.array([], pa.string())})) == []
    assert (
        read(table(tmp_path / "b.parquet", {"text": pa.array([], pa.string()), "vector": lists(VECTORS[:0])})) == []
    )


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Neither Python's nor Arrow's, for one row group of 30 MB."""
    path = table(tmp_path / "a.parquet", {"caption": [f"{text} {i}" for i in range(400) for text in CAPTIONS]})
    source = source_of([path])
    before = pa.total_allocated_bytes()
    highest = count = 0
    tracemalloc.start()
    for rows in source.read():
        count += len(rows.texts)
        highest = max(highest, pa.total_allocated_bytes() - before)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 400 * len(CAPTIONS)
    assert max(highest, peak) < 8_000_000
