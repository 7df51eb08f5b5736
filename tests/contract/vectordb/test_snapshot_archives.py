"""Archives of snapshots: they reach nothing outside, and unpack in constant memory."""

from __future__ import annotations

import io
import tarfile
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tests.contract.vectordb.snapshot_samples import MANIFEST, tar
from vectordb.archive import Archive, BadArchive
from vectordb.captions import Caption
from vectordb.index import PAGE, Floats
from vectordb.snapshot import reading, write
from vectordb.unpacking import Limits, unpack


def test_memory_does_not_grow_with_the_snapshot(tmp_path: Path) -> None:
    """Page by page, in and out."""
    file = tmp_path / "saved.tar.zst"
    peaks = []
    for pages in (1, 5):
        tracemalloc.start()
        _many(file, pages)
        with reading(file, tmp_path) as saved:
            assert sum(len(captions) for captions, _ in saved.pages()) == pages * PAGE
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def _many(file: Path, pages: int) -> None:
    class Many:
        def pages(self) -> Iterator[tuple[list[Caption], Floats]]:
            dice = np.random.default_rng(1)
            texts = (f"caption {number} " * 5 for number in range(10**9))
            for page in range(pages):
                # as an index gives them: in the order of ids over all pages
                ours = (caption for caption in map(Caption.of, texts) if caption.id * pages >> 64 == page)
                captions = sorted(islice(ours, PAGE), key=lambda caption: caption.id)
                rows = dice.normal(size=(PAGE, 256)).astype(np.float32)
                rows /= np.linalg.norm(rows, axis=1, keepdims=True)
                yield captions, rows

    write(file, replace(MANIFEST, dimension=256), Many())  # type: ignore[arg-type]  # only its pages are asked for


def special(kind: bytes, name: str = "mini/x") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/etc/passwd"
    return member


@pytest.mark.parametrize(
    "members",
    [
        [("../up", b"x")], [("/etc/x", b"x")], [("a/../../b", b"x")], [("a//b", b"x")], [("./a", b"x")], [("", b"")],
        [("a", b"x"), ("a", b"y")], [("a", b"x"), ("a/b", b"y")], [("a/b", b"x"), ("a", b"y")], [("a\nb", b"")],
        [(special(tarfile.SYMTYPE), b"")], [(special(tarfile.LNKTYPE), b"")], [(special(tarfile.CHRTYPE), b"")],
        [(special(tarfile.FIFOTYPE), b"")], [(special(tarfile.BLKTYPE), b"")], [(special(b"x"[:0] + b"Z"), b"")],
        [("a", bytes(2000))], [("a/" * 40 + "b", b"x")], [("a" * 300, b"x")],
    ],
)  # fmt: skip
def test_an_archive_reaches_nothing_outside_and_holds_plain_files_alone(
    tmp_path: Path, members: list[tuple[str | tarfile.TarInfo, bytes]]
) -> None:
    archive = Archive(io.BytesIO(tar(*members)))
    (tmp_path / "in").mkdir()
    with pytest.raises(BadArchive):
        unpack(archive, iter(archive), tmp_path / "in", Limits(1024, 1024))
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_an_archive_is_unpacked_with_its_holes(tmp_path: Path) -> None:
    folder = tarfile.TarInfo("a")
    folder.type = tarfile.DIRTYPE
    content = bytes(1 << 20) + b"x" + bytes(1 << 20)
    long = "a/" + "b" * 200 + "/c"
    archive = Archive(io.BytesIO(tar((folder, b""), ("a/file", content), (long, b"y"), ("a/empty", b""))))
    unpack(archive, iter(archive), tmp_path, Limits(1 << 22, 1 << 22))
    assert (tmp_path / "a" / "file").read_bytes() == content
    assert (tmp_path / "a" / "file").stat().st_blocks * 512 < 1 << 20
    assert (tmp_path / long).read_bytes() == b"y"
    assert (tmp_path / "a" / "empty").read_bytes() == b""
