"""Of an unfinished backup nothing is kept that is damaged, of another release, or another process's."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.contract.backup.continuing import finished, killed, require_whole
from tests.contract.backup.continuing import several_files as several_files  # noqa: PLC0414 -- a fixture
from tests.contract.backup.continuing import world as world  # noqa: PLC0414 -- a fixture
from tests.contract.backup.world import save
from tests.contract.s3_server import store_at
from workers.backup.form import UNFINISHED, BackupError
from workers.backup.places import BucketPlace, FolderPlace
from workers.backup.stored_backups import Catalogue
from workers.backup.unfinished import note_of
from workers.backup.writing import Progress
from workers.wiring.wiring import Wiring

pytestmark = pytest.mark.usefixtures("client")  # each test has an empty Redis


@pytest.mark.long
def test_a_damaged_file_and_a_missing_one_are_made_anew(world: Wiring, redis_url: str, tmp_path: Path) -> None:
    place = FolderPlace(tmp_path / "to")
    killed(world, place, "manifest")
    (name,) = Catalogue(place).ids()
    damaged = tmp_path / "to" / name / "captions-0-00002.msgpack.zst"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    (tmp_path / "to" / name / "images-00002.msgpack.zst").unlink()
    made, files, _ = finished(world, place)
    assert made.kept == 5
    again = [one for one in files if one.startswith(("captions-0-00", "images"))]
    assert [one.partition("-")[0] for one in again] == ["captions", "images"]
    require_whole(world, made, place, redis_url, tmp_path / "b")


@pytest.mark.long
def test_fresh_begins_anew_and_another_release_does(
    world: Wiring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = FolderPlace(tmp_path / "to")
    killed(world, place, "manifest")
    first = Catalogue(place).ids()
    made, _, _ = finished(world, place, fresh=True)
    assert (made.kept, made.torn) == (0, first)
    killed(world, place, "manifest")
    monkeypatch.setattr("workers.embedded.backup_writing.release", lambda: "99.0")
    made, _, said = finished(world, place)
    assert made.kept == 0
    assert any("is not continued" in one and "this is 99.0" in one for one in said)


@pytest.mark.long
def test_a_full_disk_removes_nothing(world: Wiring, redis_url: str, tmp_path: Path) -> None:
    place = FolderPlace(tmp_path / "to")

    class Full(FolderPlace):
        def write(self, name: str, data: bytes) -> str:
            if "images-00002" in name:
                raise BackupError("the disk is full")
            return super().write(name, data)

    said: list[str] = []
    with pytest.raises(BackupError, match="the disk is full"):
        save(world, Full(tmp_path / "to"), Progress(say=said.append), captions=True, images=True)
    assert "5 files" in said[-1]
    assert "--fresh" in said[-1]
    made, _, _ = finished(world, place)
    assert made.kept == 5
    require_whole(world, made, place, redis_url, tmp_path / "b")


@pytest.mark.long
def test_a_process_that_was_suspended_does_not_end_what_another_one_continues(world: Wiring, tmp_path: Path) -> None:
    place = FolderPlace(tmp_path / "to")
    killed(world, place, "manifest")
    (name,) = Catalogue(place).ids()

    def taken_over(step: str, _: int) -> None:
        if step == "index of images":
            note = note_of(Catalogue(place), name)
            assert note is not None
            FolderPlace(tmp_path / "to").write(
                f"{name}/{UNFINISHED}", msgspec.json.encode(msgspec.structs.replace(note, run="another"))
            )

    with pytest.raises(BackupError, match="another process goes on"):
        save(world, place, Progress(step=taken_over), captions=True, images=True)
    assert Catalogue(place).find(name) is None
    assert finished(world, place)[0].kept == 7


def test_what_was_uploaded_to_a_bucket_is_kept(
    moto_url: str, world: Wiring, redis_url: str, tmp_path: Path, bucket: str
) -> None:
    store = store_at(moto_url, bucket)
    store.connection.client.make_bucket(bucket)
    place = BucketPlace(store, bucket, "some/where")
    killed(world, place, "images-00003")
    (name,) = Catalogue(place).ids()
    place.write(f"{name}/captions-0-00002.msgpack.zst", b"exchanged")
    made, files, _ = finished(world, place)
    assert made.kept == 5
    assert len([one for one in files if one.startswith("captions-0-00")]) == 1
    assert len([one for one in files if one.startswith("images")]) == 1
    require_whole(world, made, place, redis_url, tmp_path / "b")
