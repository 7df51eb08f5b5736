"""WebDataset's archives: captions of samples, hostile names, and archives that are not whole."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from tests.unit.vectordb.readers.reading import broken, read, written
from vectordb.readers import source_of

CAPTIONS = [f"a photo of thing {i}" for i in range(2000)]


def tar(members: list[tuple[str, bytes]]) -> bytes:
    """An archive with these files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def samples(kind: str = "txt") -> list[tuple[str, bytes]]:
    """Pictures with their captions."""
    members = []
    for i, text in enumerate(CAPTIONS):
        data = json.dumps({"url": "http://x", "caption": text}) if kind == "json" else text
        members += [(f"{i:05}.jpg", b"\xff\xd8" * 300), (f"{i:05}.{kind}", data.encode())]
    return members


@pytest.mark.parametrize("name", ["0.tar", "0.tar.gz", "0.tgz", "unnamed"])
@pytest.mark.parametrize("kind", ["txt", "json"])
def test_each_sample_gives_its_caption(tmp_path: Path, name: str, kind: str) -> None:
    """From .txt members, or from the caption field of .json members where there are none."""
    data = tar(samples(kind))
    path = written(tmp_path / name, gzip.compress(data) if name.endswith("gz") else data)
    assert read(path) == CAPTIONS


def test_text_comes_before_json_and_a_column_before_both(tmp_path: Path) -> None:
    """A sample has one caption, whatever the order of its members; a sample without one is passed over."""
    members = [
        ("a/1.json", b'{"caption": "from json", "said": "one"}'),
        ("a/1.txt", b"from text"),
        ("a/2.seg.txt", b"two\nlines"),
        ("a/2.json", b'{"caption": "from json", "said": "two"}'),
        ("a/3.jpg", b""),
        ("b/2.json", b'{"caption": "three", "said": null}'),
    ]
    path = written(tmp_path / "a.tar", tar(members))
    assert read(path) == ["from text", "two\nlines", "three"]
    assert read(path, column="said") == ["one", "two", ""]
    assert "no field 'title'; the fields are: caption, said" in broken(path, column="title")[1].fault


def test_hostile_names_reach_nothing(tmp_path: Path) -> None:
    """Names that lead out of a folder, links, control characters: nothing is written, and faults show them safely."""
    name = "../../../\x1b[31mevil"
    link = tarfile.TarInfo("link.txt")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(link)
    whole = out.getvalue()[:512] + tar([("/etc/x.txt", b"a cat"), (f"{name}.txt", b"caf\xe9")])
    path = written(tmp_path / "in" / "a.tar", whole)
    texts, fault = broken(path)
    assert texts == ["a cat"]
    assert "not UTF-8" in fault.fault
    assert "\x1b" not in str(fault)
    assert [p.name for p in tmp_path.rglob("*")] == ["in", "a.tar"]


@pytest.mark.parametrize("cut", [512 * 100, 512 * 100 + 300, 512 * 102, 512 * 101 + 10])
def test_an_archive_that_is_cut_off_is_told(tmp_path: Path, cut: int) -> None:
    """Within a header, within a file, and between two files, where it might be taken for the end."""
    texts, fault = broken(written(tmp_path / "a.tar", tar(samples())[:cut]))
    assert len(texts) > 10
    assert texts == CAPTIONS[: len(texts)]
    assert "truncated" in fault.fault
    assert "after member '000" in str(fault.position)


def test_damage_and_a_second_archive_are_not_taken_for_the_end(tmp_path: Path) -> None:
    """What stands behind them is not lost in silence."""
    data = tar(samples())
    damaged = bytearray(data)
    damaged[512 * 100 : 512 * 101] = b"x" * 512
    for whole in (bytes(damaged), data + data):
        texts, fault = broken(written(tmp_path / "a.tar", whole))
        assert texts == CAPTIONS[: len(texts)]
        assert "is damaged, or another archive" in fault.fault


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (tar([("a.jpg", b"x")]), "no sample in it has a .txt"),
        (tar([("a.json", b'{"n": 1}')]), "no sample in it has a .txt"),
        (tar([("a.json", b"{")]), "not a JSON"),
        (tar([("a.txt", b"x" * ((1 << 20) + 1))]), "longer than"),
        (b"", "not a tar"),
        (b"a cat\n" * 500, "not a tar"),
    ],
)
def test_what_holds_no_captions_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    """With the reason."""
    assert said in broken(written(tmp_path / "a.tar", data))[1].fault


def test_endless_headers_are_refused(tmp_path: Path) -> None:
    """A name of gigabytes is not read into memory."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    path = written(tmp_path / "a.tar", tar([("a.txt", b"a cat")])[:1024] + header.tobuf(tarfile.GNU_FORMAT))
    texts, fault = broken(path)
    assert texts == ["a cat"]
    assert "a header has 8,589,934,592 bytes" in fault.fault


def test_a_chain_of_headers_is_refused(tmp_path: Path) -> None:
    """Each is read by a call within the call for the one before it: a thousand would end in a RecursionError."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 2
    one = header.tobuf(tarfile.GNU_FORMAT) + b"a\0".ljust(512, b"\0")
    texts, fault = broken(written(tmp_path / "a.tar", tar([("a.txt", b"a cat")])[:1024] + 5000 * one))
    assert texts == ["a cat"]
    assert "more than 8 headers" in fault.fault


def test_a_size_below_zero_is_refused(tmp_path: Path) -> None:
    """It would lead back to what has been read. Newer versions of Python notice it before we do."""
    member = tarfile.TarInfo("b.txt")
    member.pax_headers = {"size": "-1024"}
    data = tar([("a.txt", b"a cat")])[:1024] + member.tobuf(tarfile.PAX_FORMAT) + bytes(1024)
    texts, _ = broken(written(tmp_path / "a.tar", data))
    assert texts == ["a cat"]


def test_memory_does_not_grow_with_the_archive(tmp_path: Path) -> None:
    """Neither with the number of its members nor with their sizes."""
    members = samples()[: 2 * 500]
    data = tar([(f"{part}-{name}", content) for part in range(6) for name, content in members])
    source = source_of([written(tmp_path / "a.tar", data)])
    del data
    tracemalloc.start()
    count = sum(len(rows.texts) for rows in source.read())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 6 * 500
    assert peak < 3_000_000
