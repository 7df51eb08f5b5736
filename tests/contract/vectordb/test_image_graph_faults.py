"""Nothing is lost when a build of graphs fails, whatever ends when."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.contract.vectordb.image_graph_samples import (
    DEADLINE_S,
    LEAST,
    building,
    built,
    change,
    created,
    ended,
    entries,
    everything,
    in_graphs,
    rows,
)
from vectordb import image_graph, image_growth
from vectordb.disk_space import DiskFull
from vectordb.image_growth import GrowingImages
from vectordb.index import IndexLocked
from vectordb.options import IndexOptions

pytestmark = pytest.mark.long  # each builds graphs in processes of its own


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GrowingImages]:
    monkeypatch.setattr(image_graph, "NICE", 0)
    index = created(tmp_path / "images")
    yield index
    index.close()


def test_a_killed_build_is_told_and_tried_again(index: GrowingImages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_growth, "RETRY_S", 0.0)
    before = everything(index)
    index.maintain(LEAST)
    process = building(index)
    assert process is not None
    process.kill()
    ended(index)
    with capture_logs() as logs:
        index.maintain(LEAST)
    assert [(line["log_level"], line["event"]) for line in logs] == [("warning", "image graph not built")]
    assert everything(index) == before
    built(index)
    assert in_graphs(index) == 300
    assert everything(index) == before


def test_a_build_that_fails_says_why(index: GrowingImages) -> None:
    index.maintain(LEAST)
    process = building(index)
    assert process is not None
    process.kill()
    process.wait()
    assert index._build is not None
    shutil.rmtree(index._build.folder / "shard")
    again = image_graph.start(index._build.folder, IndexOptions())
    index._build = replace(index._build, process=again)
    ended(index)
    with capture_logs() as logs:
        index.maintain(LEAST)
    assert "does not exist" in logs[0]["reason"]


def test_without_space_there_is_one_warning_and_no_build(
    index: GrowingImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_growth, "RETRY_S", 0.0)

    def full(folder: Path, size: int, purpose: str) -> None:
        raise DiskFull(f"not enough disk space in {folder} for {size} bytes to {purpose}")

    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(image_growth, "require_space", full)
        for _ in range(3):
            index.maintain(LEAST)
    assert [line["event"] for line in logs] == ["image graph not built"]
    assert building(index) is None
    assert index.search(rows(300)[:1], 1)[0].entries[0].key == "00000.jpg"
    built(index)
    assert in_graphs(index) == 300


def test_without_space_for_the_changes_the_old_index_stays(
    index: GrowingImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.maintain(LEAST)
    change(index)
    before = everything(index)
    ended(index)

    def full(folder: Path, size: int, purpose: str) -> None:
        raise DiskFull(f"not enough disk space in {folder} for {size} bytes to {purpose}")

    monkeypatch.setattr(image_growth, "require_space", full)
    with capture_logs() as logs:
        index.maintain(LEAST)
    assert logs[0]["event"] == "image graph not built"
    assert everything(index) == before
    index.put(entries(1, 700), rows(1, 700))
    assert index.count() == len(before) + 1


def test_a_fault_after_the_swap_leaves_the_old_index(index: GrowingImages, monkeypatch: pytest.MonkeyPatch) -> None:
    index.maintain(LEAST)
    change(index)
    before = everything(index)
    ended(index)

    def fails(*_: object) -> None:
        raise OSError("no rename")

    monkeypatch.setattr(image_growth, "complete", fails)
    index.maintain(LEAST)
    assert everything(index) == before
    assert in_graphs(index) == 0


@pytest.mark.parametrize("damaged", [["segments", "wal"], ["edge_config.json"], ["."]])
def test_a_damaged_new_index_is_not_used(index: GrowingImages, damaged: list[str]) -> None:
    index.maintain(LEAST)
    change(index)
    before = everything(index)
    ended(index)
    assert index._build is not None
    for place in (index._build.folder / "shard" / name for name in damaged):
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.write_text("{")
    with capture_logs() as logs:
        index.maintain(LEAST)
    assert [line["event"] for line in logs] == ["image graph not built"]
    assert everything(index) == before
    index.put(entries(1, 700), rows(1, 700))
    assert index.count() == len(before) + 1


@pytest.mark.parametrize("step", ["copied", "built", "moved aside", "in place", "in part removed", "complete"])
def test_a_killed_owner_loses_nothing(tmp_path: Path, index: GrowingImages, step: str) -> None:
    """The folders are put into the state that a kill leaves after each step."""
    path = tmp_path / "images"
    index.maintain(LEAST)
    change(index)
    before = everything(index)
    ended(index)
    assert index._build is not None
    folder = index._build.folder
    kept = tmp_path / "kept"
    shutil.copytree(folder, kept)
    index.close()
    shutil.copytree(kept, folder)
    if step == "copied":
        shutil.rmtree(next((folder / "shard/segments").iterdir()))
    if step == "moved aside":
        (path / "shard").rename(path / "shard.old")
    if step in {"in place", "in part removed"}:
        image_growth.put_in_place(path, folder)
    if step == "in part removed":  # the opening after a kill was itself killed
        (path / "shard/edge_config.json").unlink()
        shutil.rmtree(path / "shard/segments")
    if step == "complete":
        shutil.copytree(path / "shard", folder / "shard.old")
    opened = GrowingImages.open(path)
    assert everything(opened) == before
    assert sorted(file.name for file in path.iterdir()) == ["index.json", "owner.lock", "shard"]
    opened.maintain(LEAST)
    built(opened)
    assert everything(opened) == before
    opened.close()


_OWNER = """
import sys
from pathlib import Path
from vectordb.image_growth import GrowingImages
index = GrowingImages.open(Path(sys.argv[1]))
index.maintain(int(sys.argv[2]))
print(index._build.process.pid, flush=True)
sys.stdin.read()
"""


def test_a_build_ends_with_its_owner_and_the_index_opens(tmp_path: Path, index: GrowingImages) -> None:
    path = tmp_path / "images"
    before = everything(index)
    index.close()
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(path), str(LEAST)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        child = next(int(line) for line in owner.stdout if line.strip().isdigit())  # after the log
        with pytest.raises(IndexLocked):
            GrowingImages.open(path)
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + DEADLINE_S
    while runs(child):
        assert time.monotonic() < deadline
    opened = GrowingImages.open(path)
    assert everything(opened) == before
    opened.close()


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
