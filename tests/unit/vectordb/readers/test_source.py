"""What paths stand for, and what a source promises to whoever imports it."""

from __future__ import annotations

import gzip
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.vectordb.readers.reading import broken, read, written
from vectordb.errors import Permanent
from vectordb.readers import FORMATS, BadSource, source_of


def test_a_folder_stands_for_its_files_as_people_count(tmp_path: Path) -> None:
    """Part 2 before part 10; hidden files, marks of other programs and files of no known kind are left alone."""
    for i in (1, 2, 10):
        written(tmp_path / f"part-{i}.txt.gz" if i == 1 else tmp_path / f"part-{i}.txt", "")
        written(tmp_path / f"part-{i}.txt", f"caption {i}\n")
    (tmp_path / "part-1.txt.gz").unlink()
    for other in (".hidden.txt", "_SUCCESS", "README.md"):
        written(tmp_path / other, "no caption\n")
    source = source_of([tmp_path])
    assert [path.name for path in source.files] == ["part-1.txt", "part-2.txt", "part-10.txt"]
    assert read(tmp_path) == ["caption 1", "caption 2", "caption 10"]


def test_several_paths_are_read_one_after_the_other(tmp_path: Path) -> None:
    """In the order in which they are given, files and folders alike; each file finds its own column."""
    first = written(tmp_path / "b.csv", "text,n\none,1\n")
    second = written(tmp_path / "folder" / "a.csv", "n,caption\n2,two\n")
    assert read(first, second.parent) == ["one", "two"]


def test_progress_goes_from_nothing_to_the_size(tmp_path: Path) -> None:
    """Bytes on disk, over all files, packed ones too, never backwards."""
    lines = "".join(f"caption {i}\n" for i in range(100_000)).encode()
    paths = [written(tmp_path / "a.txt", lines), written(tmp_path / "b.txt.gz", gzip.compress(lines))]
    consumed: list[int] = []
    source = source_of(paths)
    assert sum(len(rows.texts) for rows in source.read(consumed.append)) == 200_000
    assert consumed == sorted(consumed)
    assert len(set(consumed)) > 5
    assert consumed[-1] == source.size() == sum(path.stat().st_size for path in paths)


def test_the_fingerprint_changes_with_the_source_and_with_nothing_else(tmp_path: Path) -> None:
    """Size, time, name, number of files, format and column count; reading and moving do not."""
    path = written(tmp_path / "a" / "a.txt", "a cat\n")
    first = source_of([path]).fingerprint()
    read(path)
    assert source_of([path.parent]).fingerprint() == first
    path = path.parent.rename(tmp_path / "b") / "a.txt"
    assert source_of([path]).fingerprint() == first
    seen = {first, source_of([path], format="csv").fingerprint(), source_of([path], column="1").fingerprint()}
    os.utime(path, ns=(0, 0))
    seen.add(source_of([path]).fingerprint())
    written(path, "a fox\nand more\n")
    seen.add(source_of([path]).fingerprint())
    other = written(path.with_name("b.txt"), "a dog\n")
    seen.add(source_of([path, other]).fingerprint())
    assert len(seen) == 6
    gone = source_of([path])
    path.unlink()
    for ask in (gone.fingerprint, gone.size, lambda: list(gone.read())):
        with pytest.raises(BadSource, match=r"cannot be|no longer exists"):
            ask()


def test_standard_input_is_read_once(tmp_path: Path) -> None:
    """As plain text, or as any format that can be read from a pipe; a named pipe is read in the same way."""
    script = "import sys; from tests.unit.vectordb.readers.reading import *; print(read('-', **eval(sys.argv[1])))"
    for options, data in {"{}": b"a cat\na dog", "{'format': 'csv'}": b"n,text\n1,a cat\n2,a dog\n"}.items():
        done = subprocess.run([sys.executable, "-c", script, options], input=data, capture_output=True, check=False)
        assert done.stdout.decode() == "['a cat', 'a dog']\n", done.stderr.decode()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["/bin/sh", "-c", f"printf 'a cat\\na dog' > {pipe}"]):
        assert read(pipe) == ["a cat", "a dog"]
    source = source_of(["-"])
    assert (source.format, source.size()) == ("text", 0)
    assert source.fingerprint() != source.fingerprint()
    with pytest.raises(BadSource, match="standard input: parquet cannot be read from a pipe"):
        source_of(["-"], format="parquet")


def test_a_name_overrides_what_a_file_seems_to_be(tmp_path: Path) -> None:
    """For files and for folders without telling names."""
    path = written(tmp_path / "part-0000", "a,b\nc,d\n")
    assert read(path) == ["a,b", "c,d"]
    assert read(path, format="csv", column="b") == read(tmp_path, format="csv", column="b") == ["d"]
    assert source_of([path], format="text").format == "text"


@pytest.mark.parametrize("format", FORMATS)
def test_an_empty_folder_says_what_is_missing(tmp_path: Path, format: str) -> None:  # noqa: A002 -- the argument's name
    """For every format, and for none."""
    for wanted in (format, None):
        with pytest.raises(BadSource, match=r"there (is|are) no"):
            source_of([tmp_path], format=wanted)


def test_what_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    """A path without a file, no path, an unknown format, several formats at once, unknown content."""
    text, table = written(tmp_path / "a.txt", "a cat\n"), written(tmp_path / "b.csv", "text\na cat\n")
    for paths, wanted, said in (
        ([tmp_path / "nowhere"], None, "no such file"),
        ([], None, "no files are given"),
        ([text], "word", "no format 'word'; choose one of: text, csv"),
        ([tmp_path], None, "several formats; choose one: csv, text"),
        ([text, table], None, "all files must have the same format"),
        ([written(tmp_path / "c", b"\x99PNG\0\0")], None, "choose one of: text, csv"),
        ([written(tmp_path / "d", b"")], None, "the file is empty"),
        ([written(tmp_path / "e" / "f", b"x\n").parent], None, "choose one with --format"),
        ([written(tmp_path / "text_emb_0.npy", b"x")], "clip-retrieval", "give the folder"),
    ):
        with pytest.raises(BadSource, match=said):
            source_of(paths, format=wanted)
    assert "--encoding" in broken(written(tmp_path / "g", b"a\0"), format="text")[1].fault


def test_a_fault_is_permanent_and_may_travel(tmp_path: Path) -> None:
    """It says file, position and fault, also in another process."""
    fault = BadSource(tmp_path / "a.txt", "it is broken", "line 3")
    assert isinstance(fault, Permanent)
    again = pickle.loads(pickle.dumps(fault))  # noqa: S301 -- our own
    assert (str(again), again.path, again.position) == (str(fault), tmp_path / "a.txt", "line 3")
    assert str(fault) == f"{tmp_path}/a.txt, line 3: it is broken"
    assert str(BadSource(Path("-"), "it is broken")) == "standard input: it is broken"
