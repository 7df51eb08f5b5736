"""Plain text: a caption a line, packed or not, and nothing before a fault is lost."""

from __future__ import annotations

import gzip
import random
import tracemalloc
from pathlib import Path

import pytest

from tests.unit.vectordb.readers.reading import broken, read, written
from vectordb import zstd
from vectordb.readers import source_of

MANY = [f"caption {i} of a thing" for i in range(30_000)]
LINES = "".join(f"{line}\n" for line in MANY)


def test_a_line_is_a_caption_as_it_stands(tmp_path: Path) -> None:
    """Spaces, separators of other kinds and empty lines stay; the last line needs no end."""
    path = written(tmp_path / "a.txt", " a cat \n\nline\u2028separator\x85\nübér")
    assert read(path) == [" a cat ", "", "line\u2028separator\x85", "übér"]


def test_line_ends_and_the_byte_order_mark_are_no_part_of_captions(tmp_path: Path) -> None:
    """CRLF and a byte order mark go; a lone CR is no line's end."""
    assert read(written(tmp_path / "a.txt", b"\xef\xbb\xbfa cat\r\na\rdog\r\nfox\r")) == ["a cat", "a\rdog", "fox"]


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    """Nothing is read from it, and nothing is wrong with it."""
    assert read(written(tmp_path / "a.txt", "")) == []


def test_pieces_are_full_but_for_the_last(tmp_path: Path) -> None:
    """Rows come 1,024 at a time, in order, and the same when they are read again."""
    source = source_of([written(tmp_path / "a.txt", LINES)])
    pieces = [list(rows.texts) for rows in source.read()]
    assert [text for piece in pieces for text in piece] == MANY
    assert {len(piece) for piece in pieces[:-1]} == {1024}
    assert [list(rows.texts) for rows in source.read()] == pieces
    assert not source.has_vectors


@pytest.mark.parametrize("name", ["a.txt.gz", "a.txt.zst", "no-suffix"])
def test_packed_files_are_unpacked_on_the_way(tmp_path: Path, name: str) -> None:
    """Gzip and zstd, in several pieces one after the other, by their first bytes whatever the name."""
    pack = zstd.compress if name.endswith("zst") else gzip.compress
    half = LINES.index("caption 15000 ")
    path = written(tmp_path / name, pack(LINES[:half].encode()) + pack(LINES[half:].encode()))
    assert read(path) == MANY


@pytest.mark.parametrize("name", ["a.txt.gz", "a.txt.zst"])
def test_what_was_packed_before_the_cut_is_read(tmp_path: Path, name: str) -> None:
    """A file that is cut off gives the lines before the cut, then says where it ends."""
    pack = zstd.compress if name.endswith("zst") else gzip.compress
    shuffled = MANY.copy()
    random.Random(0).shuffle(shuffled)
    packed = pack("".join(f"{line}\n" for line in shuffled).encode())
    texts, fault = broken(written(tmp_path / name, packed[: len(packed) // 2]))
    assert len(texts) > 5000
    assert texts == shuffled[: len(texts)]
    assert "truncated" in str(fault)
    assert "byte" in str(fault.position)


def test_damaged_gzip_is_told(tmp_path: Path) -> None:
    """Bytes that were changed on the way are noticed by the checksum, and so is what stands behind the end."""
    packed = bytearray(gzip.compress(LINES.encode()))
    packed[-6] ^= 1
    assert "damaged" in broken(written(tmp_path / "a.txt.gz", bytes(packed)))[1].fault
    behind = written(tmp_path / "b.txt.gz", gzip.compress(b"a cat\n") + b"rubbish")
    assert broken(behind)[0] == ["a cat"]


@pytest.mark.parametrize("data", [b"", b"<html>not found</html>"])
def test_what_is_only_called_packed_is_refused(tmp_path: Path, data: bytes) -> None:
    """A failed download is not taken for captions."""
    assert "ends in .gz" in broken(written(tmp_path / "a.txt.gz", data), format="text")[1].fault


def test_bytes_that_are_not_utf8_stop_at_their_line(tmp_path: Path) -> None:
    """The lines before are given, and the fault says which line it is."""
    path = written(tmp_path / "a.txt", LINES.encode() + b"a caf\xe9\nmore\n")
    texts, fault = broken(path)
    assert texts == MANY
    assert (fault.path, fault.position) == (path, "line 30001")
    assert "0xe9 is not UTF-8" in fault.fault
    assert str(fault) == f"{path}, line 30001: {fault.fault}"


def test_a_binary_file_is_no_text(tmp_path: Path) -> None:
    """Zero bytes, Latin-1 behind them, and UTF-16 are distinguished from captions."""
    texts, fault = broken(written(tmp_path / "a.txt", b"good\nPNG\0\xff\xfe\n"))
    assert texts == ["good"]
    assert (fault.position, "not a text file" in fault.fault) == ("line 2", True)
    assert "UTF-16" in broken(written(tmp_path / "b.txt", "a cat\n".encode("utf-16")))[1].fault


@pytest.mark.parametrize("end", ["", "\nlast\n"])
def test_a_huge_line_is_refused_and_not_held(tmp_path: Path, end: str) -> None:
    """50 MB without a line's end stop the reading at 1 MiB, after the lines before it."""
    path = written(tmp_path / "a.txt.gz", gzip.compress(b"first\n" + b"x" * 50_000_000 + end.encode(), 1))
    tracemalloc.start()
    texts, fault = broken(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert texts == ["first"]
    assert fault.position == "line 2"
    assert "longer than" in fault.fault
    assert peak < 8_000_000


@pytest.mark.parametrize("longest", [(1 << 20), (1 << 20) + 1])
def test_the_bound_of_a_line_is_exact(tmp_path: Path, longest: int) -> None:
    """A line of 1 MiB is read, a byte more is refused, wherever in the file it begins."""
    path = written(tmp_path / "a.txt", f"before\n{'x' * longest}\nafter\n")
    if longest == 1 << 20:
        assert [len(text) for text in read(path)] == [6, longest, 5]
    else:
        assert broken(path)[0] == ["before"]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """40 MB of captions pass through a few MB of memory."""
    path = written(tmp_path / "a.txt", LINES * 50)
    source = source_of([path])
    tracemalloc.start()
    count = sum(len(rows.texts) for rows in source.read())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 50 * len(MANY)
    assert peak < 8_000_000


def test_text_has_no_columns(tmp_path: Path) -> None:
    """A request for a column is refused."""
    assert "no columns" in broken(written(tmp_path / "a.txt", "a cat\n"), column="caption")[1].fault
