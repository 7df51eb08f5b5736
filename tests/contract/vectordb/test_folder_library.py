"""What is true of caption databases in folders only: one owner, files that a person may damage, killed processes."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from tests.contract.homes import DIMENSION
from tests.contract.vectordb.library_samples import CAPTIONS, build, interrupted, manifest
from vectordb import zstd
from vectordb.folder import FolderLibrary
from vectordb.index import IndexLocked, IndexMissing
from vectordb.library import BadSnapshot, BuildRunning


@pytest.fixture
def library(tmp_path: Path) -> FolderLibrary:
    return FolderLibrary(tmp_path / "captions")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the version lies."""
    return tmp_path / "captions" / "mini" / "starter@v1"


def test_a_version_has_one_owner(library: FolderLibrary, tmp_path: Path) -> None:
    build(library)
    index = library.open("mini", "starter@v1")
    assert index.indexed() == index.count() == 50
    for change in (library.open, library.drop):
        with pytest.raises(IndexLocked):
            change("mini", "starter@v1")
    with pytest.raises(IndexLocked):
        library.snapshot("mini", "starter@v1", tmp_path / "saved.tar")
    assert not (tmp_path / "saved.tar").exists()
    index.close()
    library.drop("mini", "starter@v1")


def test_nothing_but_locks_is_left_beside_the_versions(library: FolderLibrary, place: Path, tmp_path: Path) -> None:
    interrupted(library, CAPTIONS[:20])
    build(library)
    library.use("mini", "starter@v1")
    build(library, manifest("v2"))
    library.snapshot("mini", "starter@v2", tmp_path / "saved.tar")
    library.drop("mini", "starter@v2")
    library.restore(tmp_path / "saved.tar")
    names = {path.name for path in place.parent.iterdir()}
    assert names == {"starter@v1", "starter@v2", "active"}
    assert [path.name for path in place.parent.parent.iterdir()] == ["mini"]


def test_a_killed_builder_is_in_nobodys_way(library: FolderLibrary, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from vectordb.folder import FolderLibrary\n"
        f"with FolderLibrary(Path(sys.argv[1])).building('mini', 'starter@v1', {DIMENSION}):\n"
        "    print('building', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "captions")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as builder:
        assert builder.stdout is not None
        assert builder.stdout.readline() == b"building\n"
        with pytest.raises(BuildRunning, match="starter@v1 is being built"):
            build(library)
        builder.kill()
        builder.wait()
    build(library)


def test_a_half_made_index_is_thrown_away_and_the_notes_about_it(library: FolderLibrary, place: Path) -> None:
    interrupted(library, CAPTIONS[:20])
    sign = place.with_name(".starter@v1.building") / "index" / "index.json"
    sign.write_text("{")
    with library.building("mini", "starter@v1", DIMENSION) as building:
        assert building.index.count() == 0
        assert list(building.folder.iterdir()) == []


def test_a_damaged_database_says_what_to_do(library: FolderLibrary, place: Path) -> None:
    build(library)
    written = place / "manifest.json"
    written.write_text(written.read_text().replace('"dimension": 8', '"dimension": 9'))
    with pytest.raises(IndexMissing, match="build them again"):
        library.open("mini", "starter@v1")


def test_a_folder_without_a_manifest_gives_way(library: FolderLibrary, place: Path, tmp_path: Path) -> None:
    build(library)
    library.snapshot("mini", "starter@v1", tmp_path / "saved.tar")
    for damage in ("", "{}", "[1]"):
        (place / "manifest.json").write_text(damage)
        assert library.manifests() == []
        library.restore(tmp_path / "saved.tar")
        library.open("mini", "starter@v1").close()
    (place / "manifest.json").unlink()
    build(library)


def test_a_snapshot_whose_shard_is_damaged_is_refused(library: FolderLibrary, place: Path, tmp_path: Path) -> None:
    build(library)
    for state in place.rglob("segment.json"):
        state.write_text("{")
    with zstd.ZstdFile(tmp_path / "saved.tar", "wb") as packed, tarfile.open(fileobj=packed, mode="w|") as archive:
        archive.add(place, "mini/starter@v1")
    with pytest.raises(BadSnapshot, match="captions in the snapshot cannot be opened"):
        FolderLibrary(tmp_path / "elsewhere").restore(tmp_path / "saved.tar")
    assert FolderLibrary(tmp_path / "elsewhere").manifests() == []


def test_a_snapshot_may_be_taken_in_while_the_version_it_was_taken_of_is_open(
    library: FolderLibrary, tmp_path: Path
) -> None:
    build(library)
    library.snapshot("mini", "starter@v1", tmp_path / "saved.tar")
    index = library.open("mini", "starter@v1")
    elsewhere = FolderLibrary(tmp_path / "elsewhere")
    elsewhere.restore(tmp_path / "saved.tar")
    restored = elsewhere.open("mini", "starter@v1")
    query = np.ones((1, DIMENSION), np.float32)
    assert restored.search(query, 5)[0].captions == index.search(query, 5)[0].captions
    index.close()
    restored.close()
