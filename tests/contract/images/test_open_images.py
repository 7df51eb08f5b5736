"""The index of images never costs an image its tags: its faults are logged, it rests, and it works again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vectordb.image_folder import FolderImages
from vectordb.images import ImageEntry, ImageIndex
from workers.images.open_images import PAUSE_S, OpenImages

ROW = np.ones((1, 16), np.float32)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def put(key: str) -> Callable[[ImageIndex], bool]:
    def work(index: ImageIndex) -> bool:
        index.put([ImageEntry("inbox", key, "e")], ROW)
        return True

    return work


def test_a_folder_that_is_removed_or_may_not_be_written_is_a_fault_that_passes(tmp_path: Path) -> None:
    clock = Clock()
    images = OpenImages(lambda: FolderImages(tmp_path / "images"), "space", 16, clock)
    assert images.attempt("keep", put("a.jpg")) is True
    shutil.rmtree(tmp_path / "images")
    (tmp_path / "images").write_text("in the way")
    for key in ("b.jpg", "c.jpg"):
        images.attempt("keep", put(key))
        clock.now += PAUSE_S + 1
    images.close()
    assert images.attempt("keep", put("d.jpg")) is None
    (tmp_path / "images").unlink()
    assert images.attempt("keep", put("e.jpg")) is None, "it rests"
    clock.now += PAUSE_S + 1
    assert images.attempt("keep", put("f.jpg")) is True
    assert images.use(lambda index: index.count()) == 1
    images.close()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_folder_that_was_removed_or_replaced_is_not_searched_any_more(tmp_path: Path, *, replaced: bool) -> None:
    """The library goes on with files that are gone, and would answer from them for ever."""
    library = FolderImages(tmp_path / "images")
    images = OpenImages(lambda: library, "space", 16)
    images.use(put("old.jpg"))
    (tmp_path / "images").rename(tmp_path / "aside")
    if replaced:
        other = OpenImages(lambda: library, "space", 16)
        other.use(put("new.jpg"))
        other.use(put("newer.jpg"))
        other.close()
    expected = 2 if replaced else 0
    assert images.use(lambda index: len(index.search(ROW, 10)[0].entries)) == expected
    assert images.use(lambda index: index.count()) == expected
    images.close()
