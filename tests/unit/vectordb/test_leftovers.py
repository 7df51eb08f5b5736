"""Only old temporary files of this user are removed, by whoever writes the next one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tasks.encoders.disk_cache import cached_on_disk, replacing
from vectordb.leftovers import LEFT_AFTER_S, remove_leftovers
from workers.stores.folder_walk import Walk
from workers.supervision.home import write_json
from workers.supervision.liveness_files import LivenessFiles

OLD = time.time() - LEFT_AFTER_S - 60


def aged(path: Path, *, is_folder: bool = False) -> Path:
    """A file, or a folder with one, that was last changed more than a day ago."""
    if is_folder:
        path.mkdir()
        aged(path / "part")
    else:
        path.write_bytes(b"part")
    os.utime(path, (OLD, OLD))
    return path


def test_what_is_new_has_another_name_or_is_written_to_stays(tmp_path: Path) -> None:
    gone = [aged(tmp_path / ".draft-1"), aged(tmp_path / ".draft-2", is_folder=True)]
    other, new, written = (
        aged(tmp_path / "draft-3"),
        tmp_path / ".draft-4",
        aged(tmp_path / ".draft-5", is_folder=True),
    )
    new.touch()
    (written / "part").write_bytes(b"more")
    os.utime(written, (OLD, OLD))
    outside = aged(tmp_path / "outside", is_folder=True)
    link = tmp_path / ".draft-6"
    link.symlink_to(outside)
    os.utime(link, (OLD, OLD), follow_symlinks=False)
    remove_leftovers(tmp_path, ".draft-*")
    assert not any(one.exists() for one in gone)
    assert all(one.exists() for one in (other, new, written, outside, outside / "part"))
    assert not link.is_symlink()


def test_files_of_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = aged(tmp_path / ".draft-1")
    uid = os.getuid()
    monkeypatch.setattr("vectordb.leftovers.os.getuid", lambda: uid + 1)
    remove_leftovers(tmp_path, ".draft-*")
    assert file.exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    remove_leftovers(tmp_path / "none", "*")


def replaced(folder: Path) -> None:
    with replacing(folder / "model.onnx") as place:
        (place / "model.onnx").write_bytes(b"")


def cached(folder: Path) -> None:
    cached_on_disk(folder / "model.npz", lambda: {"a": np.zeros(1, dtype=np.float32)})


@pytest.mark.parametrize(
    ("name", "write"),
    [
        (".model-abcd", replaced),
        (".model-abcd", cached),
        (".model.json.4711", lambda folder: write_json(folder / "model.json", {})),
        (".model.4711", lambda folder: LivenessFiles(folder).begin("model")),
        (".put-0123456789abcdef", lambda folder: list(Walk(folder).keys())),
    ],
)
def test_each_writer_removes_what_its_killed_predecessor_left(
    tmp_path: Path, name: str, write: Callable[[Path], object]
) -> None:
    left, fresh = aged(tmp_path / name), tmp_path / f"{name[:-1]}0"
    fresh.write_bytes(b"is being written")
    write(tmp_path)
    assert not left.exists()
    assert fresh.exists()
