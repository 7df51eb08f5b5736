"""Indexes on a full disk wait: the engine writes to mapped memory, and the kernel would kill its process.

What happens without the check was seen with Qdrant Edge 0.9.0 on a full tmpfs: SIGBUS when images are labelled, and
when an index is opened.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.contract.small_disk import fill, needs_root, small_disk
from vectordb import image_folder
from vectordb.captions import Caption
from vectordb.disk_space import MARGIN, OPENING, DiskFull
from vectordb.edge import EdgeIndex
from vectordb.image_edge import EdgeImages
from vectordb.images import ImageEntry, ImageLabels

DIMENSION = 16
ENTRIES = [ImageEntry("b", str(number), "e") for number in range(20)]
ROWS = np.eye(DIMENSION, dtype=np.float32)[[number % DIMENSION for number in range(len(ENTRIES))]]
CAPTIONS = [Caption.of(f"caption {number}") for number in range(len(ENTRIES))]


def label(index: EdgeImages, word: str) -> None:
    index.label([ImageLabels(one.bucket, one.key, one.etag, (word,), {word: 1.0}) for one in ENTRIES])


@dataclass
class Disk:
    """A disk whose free room is chosen."""

    free: int


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk(2**40)

    def statvfs(_: object) -> object:
        return os.statvfs_result((1, 1, 2**40, made.free, made.free, 10**9, 10**9, 10**9, 0, 255))

    monkeypatch.setattr("vectordb.disk_space.os.statvfs", statvfs)
    return made


@contextmanager
def filled(disk: Disk, free: int) -> Iterator[None]:
    before, disk.free = disk.free, free
    yield
    disk.free = before


def test_a_change_of_images_waits_for_room(tmp_path: Path, disk: Disk) -> None:
    changes: tuple[Callable[[EdgeImages], None], ...] = (
        lambda index: index.put(ENTRIES, ROWS),
        lambda index: label(index, "cat"),
        lambda index: index.remove([ENTRIES[0].id]),
    )
    with closing(EdgeImages.create(tmp_path / "images", DIMENSION)) as index:
        index.put(ENTRIES, ROWS)
        for change in changes:
            with filled(disk, MARGIN - 1), pytest.raises(DiskFull):
                change(index)
            assert index.count() == len(ENTRIES)
            change(index)


def test_an_index_is_not_opened_without_room(tmp_path: Path, disk: Disk) -> None:
    with closing(EdgeIndex.create(tmp_path / "captions", DIMENSION)) as index:
        index.add(CAPTIONS, ROWS)
        with filled(disk, OPENING - 1), pytest.raises(DiskFull):
            index.optimize()
        assert index.count() == len(CAPTIONS), "it is still open"
    with filled(disk, OPENING - 1), pytest.raises(DiskFull, match="40 MiB are needed to open the index"):
        EdgeIndex.open(tmp_path / "captions")
    with filled(disk, OPENING), closing(EdgeIndex.open(tmp_path / "captions")) as index:
        assert index.count() == len(CAPTIONS)


def test_few_damaged_indexes_of_images_are_kept(tmp_path: Path) -> None:
    for number in range(1, 15):
        (tmp_path / "images").mkdir()
        (tmp_path / "images/number").write_text(str(number))
        image_folder.set_aside(tmp_path / "images")
    aside = [(one / "number").read_text() for one in sorted(tmp_path.glob("images.damaged-*"))]
    assert aside == ["13", "14"]
    assert len(aside) == image_folder.ASIDE_KEPT


@pytest.mark.long
@needs_root
def test_no_process_is_killed_on_a_disk_that_is_really_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=400m") as folder:
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(folder)], capture_output=True, text=True, check=False, timeout=120
        )
        assert (done.returncode, done.stdout) == (0, "waited 3 times, and nothing was lost\n"), done.stderr


def on_a_full_disk(folder: Path) -> None:
    """What a process does that would be killed."""
    waited = 0
    images, captions = (
        EdgeImages.create(folder / "images", DIMENSION),
        EdgeIndex.create(folder / "captions", DIMENSION),
    )
    images.put(ENTRIES, ROWS)
    captions.add(CAPTIONS, ROWS)
    captions.close()
    other = fill(folder, 4096)
    for change in (
        lambda: label(images, "cat"), lambda: images.remove([1]), lambda: EdgeIndex.open(folder / "captions"),
    ):  # fmt: skip
        try:
            change()
        except DiskFull:
            waited += 1
    other.unlink()
    label(images, "cat")
    with closing(EdgeIndex.open(folder / "captions")) as opened:
        lost = len(CAPTIONS) - opened.count() + len(ENTRIES) - images.count()
    images.close()
    sys.stdout.write(f"waited {waited} times, and {lost or 'nothing'} was lost\n")


if __name__ == "__main__":
    on_a_full_disk(Path(sys.argv[1]))
