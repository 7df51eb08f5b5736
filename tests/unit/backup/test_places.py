"""Backups in a folder: for its owner only, whole or not at all, and kept or removed as was asked for."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.unit.backup.test_form import made
from vectordb.errors import Transient
from workers.backup.form import MANIFEST, UNFINISHED, BackupError, DamagedBackup, Manifest
from workers.backup.places import FolderPlace, PlaceAway, bucket_and_prefix
from workers.backup.stored_backups import Catalogue, Patience, Unfinished, new_id

OURS = Unfinished("wildtag:", "inbox")


def whole(catalogue: Catalogue, at: float) -> Manifest:
    """Write a backup with one file."""
    manifest, file, data = made(new_id(at))
    catalogue.begin(manifest.id, OURS)
    catalogue.write(f"{manifest.id}/{file.name}", data)
    catalogue.finish(manifest)
    return manifest


def test_only_the_owner_can_read_a_backup(tmp_path: Path) -> None:
    manifest = whole(Catalogue(FolderPlace(tmp_path / "to")), 1)
    folder = tmp_path / "to" / manifest.id
    assert {stat.S_IMODE(one.stat().st_mode) for one in (tmp_path / "to", folder)} == {0o700}
    assert {stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()} == {0o600}
    assert sorted(one.name for one in folder.iterdir()) == [MANIFEST, "redis-00001.msgpack.zst"]


def test_a_backup_that_was_killed_before_its_first_file_is_not_listed(tmp_path: Path) -> None:
    catalogue = Catalogue(FolderPlace(tmp_path))
    name = new_id(1)
    (tmp_path / name).mkdir()
    (tmp_path / name / f".{UNFINISHED}.part").write_bytes(b"{")
    assert catalogue.ids() == catalogue.torn(OURS) == []
    catalogue.begin(name, OURS)
    (tmp_path / name / ".redis-00001.msgpack.zst.part").write_bytes(b"the next one")
    assert catalogue.torn(OURS) == [name]
    catalogue.remove(name)
    assert list(tmp_path.iterdir()) == []  # with its draft


def test_an_unfinished_backup_is_none(tmp_path: Path) -> None:
    catalogue = Catalogue(FolderPlace(tmp_path))
    first = whole(catalogue, 1)
    manifest, file, data = made(new_id(2))
    catalogue.begin(manifest.id, OURS)
    catalogue.write(f"{manifest.id}/{file.name}", data)
    assert catalogue.named(None) == first
    with pytest.raises(BackupError, match=f"{manifest.id} .*was not finished.*there are: {first.id}"):
        catalogue.named(manifest.id)
    assert catalogue.torn(OURS) == [manifest.id]
    assert catalogue.torn(Unfinished("other:", "inbox")) == []  # that of another stack may be running
    catalogue.remove(manifest.id)
    assert catalogue.ids() == [first.id]


def test_the_newest_are_kept(tmp_path: Path) -> None:
    catalogue = Catalogue(FolderPlace(tmp_path))
    made_ = [whole(catalogue, at * 100) for at in range(1, 4)]
    assert catalogue.beyond(2, OURS) == ([made_[0].id], [])
    assert catalogue.beyond(5, OURS) == ([], [])
    assert catalogue.beyond(1, Unfinished("other:", "inbox")) == ([], [])


def test_a_removal_that_is_interrupted_leaves_no_backup(tmp_path: Path) -> None:
    class Removing(FolderPlace):
        def remove(self, name: str) -> None:
            super().remove(name)
            raise PlaceAway("gone")

    manifest = whole(Catalogue(FolderPlace(tmp_path)), 1)
    with pytest.raises(PlaceAway):
        Catalogue(Removing(tmp_path)).remove(manifest.id)
    assert Catalogue(FolderPlace(tmp_path)).find(manifest.id) is None


def test_missing_and_damaged_files_are_all_named(tmp_path: Path) -> None:
    catalogue = Catalogue(FolderPlace(tmp_path))
    manifest = whole(catalogue, 1)
    file = tmp_path / manifest.id / "redis-00001.msgpack.zst"
    assert catalogue.verify(manifest) == []
    file.write_bytes(file.read_bytes()[:-1])
    assert "bytes" in catalogue.verify(manifest)[0]
    file.unlink()
    assert catalogue.verify(manifest) == [f"{file.name} of the backup {manifest.id} is missing"]
    (tmp_path / manifest.id).rename(tmp_path / new_id(9))
    (renamed,) = catalogue.ids()
    with pytest.raises(DamagedBackup, match="is that of"):
        catalogue.find(renamed)


@pytest.fixture
def full() -> Path:
    """A folder on a disk that is full: /dev/full stands for it."""
    if not os.access("/dev/full", os.W_OK):  # pragma: no cover -- Linux has it
        pytest.fail("there is no /dev/full")
    return Path("/dev/full")


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, full: Path) -> None:
    class OnFullDisk(FolderPlace):
        def write(self, name: str, data: bytes) -> str:
            try:
                with full.open("wb", buffering=0) as out:
                    out.write(data)
            except OSError as exc:
                raise self._fault("write", tmp_path / name, exc) from exc
            return ""

    with pytest.raises(BackupError, match=f"the disk of {tmp_path} is full.*Earlier backups are intact"):
        OnFullDisk(tmp_path).write("a", b"x")


def test_a_place_that_is_away_is_waited_for() -> None:
    said: list[str] = []
    patience, tries = (
        Patience(said.append, patience_s=5, pause_s=0),
        iter([PlaceAway("away"), PlaceAway("away"), None]),
    )

    class Away(FolderPlace):
        def write(self, name: str, data: bytes) -> str:  # noqa: ARG002 -- the Protocol's
            if (fault := next(tries)) is not None:
                raise fault
            return ""

    Catalogue(Away(Path()), patience).write("a", b"")
    assert said == ["away", "away"]
    with pytest.raises(Transient, match="still"):
        [Patience(said.append, patience_s=-1, pause_s=0)(PlaceAway("still"))]


def test_the_bucket_and_the_prefix() -> None:
    assert bucket_and_prefix("s3://b/some/where/") == ("b", "some/where/")
    assert bucket_and_prefix("s3://b") == ("b", "")
    with pytest.raises(BackupError, match="names no bucket"):
        bucket_and_prefix("s3://")
