"""A full disk is reported before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from vectordb.disk_space import DiskFull, require_space, size_of
from vectordb.errors import Transient


def test_room_that_is_there_is_enough(tmp_path: Path) -> None:
    require_space(tmp_path, 0, "add nothing")


def test_a_disk_without_room_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match=r"MiB are free, [\d]+ MiB are needed to add captions") as caught:
        require_space(tmp_path, 2**62, "add captions")
    assert isinstance(caught.value, Transient)


def test_holes_take_no_room(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    with (tmp_path / "deep" / "file").open("wb") as file:
        file.write(b"x" * 8192)
        file.truncate(2**30)
    assert 8192 <= size_of(tmp_path) < 2**20
