"""Plain text: a caption a line, packed or not, and nothing before a fault is lost."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import tracemalloc
from pathlib import Path

import pytest

from tests.unit.vectordb.readers.reading import broken, read, written
from vectordb import zstd
from vectordb.readers import BadSource, source_of

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


def test_a_line_that_is_not_utf8_is_left_out_and_named(tmp_path: Path) -> None:
    """The others are read; the line keeps its place, so that rows can be counted."""
    path = written(tmp_path / "a.txt", LINES.encode() + b"a caf\xe9\nmore\0\nlast\n")
    pieces = list(source_of([path]).read())
    assert [text for rows in pieces for text in rows.texts] == [*MANY, "", "", "last"]
    bad, zero = [one for rows in pieces for one in rows.skipped.values()]
    assert (bad.reason, bad.detail) == ("undecodable", "byte 0xe9 is not UTF-8 (line 30001)")
    assert (zero.reason, "line 30002" in zero.detail) == ("zero_byte", True)


def test_a_binary_file_is_no_text(tmp_path: Path) -> None:
    """More than a few lines that cannot be read are a file that is read in the wrong way."""
    data = b"good here\n" + b"PNG\0\xff\xfe\n" * 40
    texts, fault = broken(written(tmp_path / "a.txt", data), format="text")
    assert texts[0] == "good here"
    assert "--encoding" in fault.fault
    assert fault.position == "line 12"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_other_encodings_are_detected(tmp_path: Path, encoding: str) -> None:
    """By the byte order mark, the zero bytes, or the letters; users are told."""
    lines = [f"a café, number {i}" for i in range(40)]
    (rows,) = source_of([written(tmp_path / "a.txt", "".join(f"{x}\r\n" for x in lines).encode(encoding))]).read()
    assert rows.texts == lines
    assert "--encoding" in rows.notes[0]


def test_an_encoding_that_cannot_be_detected_is_asked_for(tmp_path: Path) -> None:
    """Cyrillic letters in a code page are no Western ones."""
    path = written(tmp_path / "a.txt", ("кошка на столе\n" * 30).encode("cp1251"))
    assert "--encoding" in broken(path)[1].fault
    (rows,) = source_of([path], encoding="cp1251").read()
    assert rows.texts == ["кошка на столе"] * 30
    assert "no encoding 'cp9999'" in broken(path, encoding="cp9999")[1].fault


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_lines_end_as_any_system_ends_them(tmp_path: Path, end: str) -> None:
    """CR alone ends lines where the file has no LF."""
    assert read(written(tmp_path / "a.txt", end.join(MANY))) == MANY


@pytest.mark.parametrize("name", ["a.txt.bz2", "a.txt.xz"])
def test_bzip2_and_xz_are_unpacked_too(tmp_path: Path, name: str) -> None:
    """In several pieces; what is cut off is told."""
    pack = bz2.compress if name.endswith("bz2") else lzma.compress
    data = pack(LINES[:100_000].encode()) + pack(LINES[100_000:].encode())
    assert read(written(tmp_path / name, data)) == MANY
    assert "truncated" in broken(written(tmp_path / f"b-{name}", data[: len(data) - 40]))[1].fault


def test_a_long_window_is_unpacked_where_the_memory_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere the window is named, before anything is read."""
    parameter = zstd.CompressionParameter
    options = {int(parameter.window_log): 28, int(parameter.enable_long_distance_matching): 1}
    packer = zstd.ZstdCompressor(options=options)
    data = packer.compress(LINES.encode()) + packer.flush()
    path = written(tmp_path / "a.txt.zst", data)
    assert zstd.window_size(data) == 1 << 28
    monkeypatch.setattr("vectordb.readers.stream.available_memory", lambda: 1 << 30)
    assert read(path) == MANY
    monkeypatch.setattr("vectordb.readers.stream.available_memory", lambda: 1 << 28)
    with pytest.raises(BadSource, match=r"window of 256 MiB.*128 MiB may be taken"):
        read(path, format="text")


def test_plain_text_that_is_a_table_or_no_captions_is_not_taken_for_captions(tmp_path: Path) -> None:
    """Flickr's token files and tables are read as tables; names of files are refused, unless text is asked for."""
    token = "".join(f"{i // 5}.jpg#{i % 5}\ta cat, number {i}\n" for i in range(20))
    assert read(written(tmp_path / "a.txt", token)) == [f"a cat, number {i}" for i in range(20)]
    table = "image,caption\n" + "".join(f'{i}.jpg,"a cat, number {i}"\n' for i in range(20))
    assert read(written(tmp_path / "b.txt", table))[0] == "a cat, number 0"
    for name, line in {
        "c": "{i}.jpg",
        "d": "https://x.org/{i}.jpg",
        "e": "{i}.jpg: a cat",
        "f": '{{"caption": "a"}}',
    }.items():
        path = written(tmp_path / f"{name}.txt", "".join(line.format(i=i) + "\n" for i in range(20)))
        assert "--format" in broken(path)[1].fault
        assert len(read(path, format="text")) == 20


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
