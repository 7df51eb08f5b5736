"""A backup that was killed is continued: what is unchanged is kept, and all else is of the run that finished it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.contract.backup.test_s3_and_libraries import contents, with_images
from tests.contract.backup.world import captioned, differences, filled, put_back, save, unit, values, wiring
from tests.contract.redis.cluster_objects import REVISION, record, ref
from tests.contract.s3_server import store_at
from vectordb.captions import SOURCE, Caption, caption_id
from vectordb.image_folder import FolderImages
from vectordb.images import ImageEntry, image_id
from workers.backup.form import MANIFEST, UNFINISHED, BackupError
from workers.backup.places import BucketPlace, FolderPlace, Place
from workers.backup.stored_backups import Catalogue
from workers.backup.unfinished import note_of
from workers.backup.writing import Progress
from workers.embedded.backup_writing import Outcome
from workers.lifecycle.ledger import Arrival
from workers.redis.maintenance_lock import LOCK
from workers.wiring.wiring import Wiring

pytestmark = pytest.mark.usefixtures("client")  # each test has an empty Redis
TEXTS = [f"caption {n}" for n in range(39)]


class Killed(BaseException):
    """The process ends here."""


class Dying:
    """A place whose process is killed before, or just after, it stores the n-th file whose name has a text."""

    def __init__(self, place: Place, text: str, nth: int = 1, *, after: bool = False) -> None:
        self._place = place
        self._text = text
        self._left = nth
        self._after = after
        self.written: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._place, name)

    def write(self, name: str, data: bytes) -> str:
        if self._text in name.partition("/")[2]:
            self._left -= 1
        if self._left <= 0 and not self._after:
            raise Killed
        stamp = self._place.write(name, data)
        self.written.append(name.partition("/")[2])
        if self._left <= 0:
            raise Killed
        return stamp

    def remove(self, name: str) -> None:
        if self._left <= 0:
            raise Killed  # as a process that was killed removes nothing
        self._place.remove(name)


@pytest.fixture(autouse=True)
def several_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row in each file: pages of ten captions or images."""
    monkeypatch.setattr("workers.backup.writing.ROWS_BYTES", 1)
    for module in ("edge", "image_edge"):
        monkeypatch.setattr(f"vectordb.{module}.PAGE", 10)


@pytest.fixture
def world(redis_url: str, tmp_path: Path) -> Wiring:
    """A stack with records, four files of captions, one of a taught one, and three of images."""
    world = wiring(redis_url, tmp_path / "a")
    filled(world, 10)
    world.data_loss.step()
    captioned(world, TEXTS, ["a moka pot"])
    with_images(world, 30)
    return world


def killed(world: Wiring, place: Place, text: str, nth: int = 1, *, after: bool = False) -> list[str]:
    """Make a backup that is killed; returns the files that it has written."""
    dying: Any = Dying(place, text, nth, after=after)
    with pytest.raises(Killed):
        save(world, dying, captions=True, images=True)
    world.redis.delete(world.keys.lock(LOCK))  # it has a lifetime
    return list(dying.written)


def finished(world: Wiring, place: Place, **more: Any) -> tuple[Outcome, list[str], list[str]]:
    """Make or continue a backup; returns the files that it has written, and what it said."""
    watched: Any = Dying(place, "nothing", 1_000_000)
    said: list[str] = []
    done = save(world, watched, Progress(say=said.append), captions=True, images=True, **more)
    files = [one for one in watched.written if one.endswith(".zst")]
    return done, files, said


def images_of(world: Wiring) -> dict[str, tuple[Any, ...]]:
    index = FolderImages(world.settings.images_folder).open(world.space.id, world.space.dimension)
    try:
        return {
            one.key: (one.etag, one.hash, row.tobytes()) for page, rows in index.pages()
            for one, row in zip(page, rows, strict=True)
        }  # fmt: skip
    finally:
        index.close()


def require_whole(world: Wiring, made: Outcome, place: Place, redis_url: str, home: Path) -> None:
    """Restore the backup into an empty home, and compare everything with the stack."""
    catalogue = Catalogue(place)
    assert catalogue.verify(made.manifest) == []
    there = {name.partition("/")[2] for name in place.names(f"{made.manifest.id}/")}
    assert there == {MANIFEST, *(file.name for file in made.manifest.files)}
    assert catalogue.ids() == [made.manifest.id]
    other = wiring(redis_url, home, "{other}:")
    assert put_back(other, made, place).differences == []
    assert differences(values(world), values(other)) == []
    assert contents(other) == contents(world)
    assert other.library.active("space") == world.library.active("space")
    assert images_of(other) == images_of(world)


@pytest.mark.parametrize(("text", "nth", "after", "kept"), [
    pytest.param("redis-00003", 1, False, 0, marks=pytest.mark.long),
    pytest.param("captions-0-00003", 1, True, 2, marks=pytest.mark.long),
    pytest.param("unfinished", 5, False, 3, marks=pytest.mark.long),
    pytest.param("taught", 1, True, 4, marks=pytest.mark.long), ("images-00002", 1, False, 5),
    pytest.param("manifest", 1, False, 7, marks=pytest.mark.long),
])  # fmt: skip
def test_a_backup_goes_on_wherever_it_was_killed(
    world: Wiring, redis_url: str, tmp_path: Path, text: str, nth: int, after: bool, kept: int
) -> None:
    place = FolderPlace(tmp_path / "to")
    killed(world, place, text, nth, after=after)
    world.ledger.enter([Arrival(ref(900))], REVISION, 100.0, 160.0)
    world.ledger.finish([record(ref(900), "cat")], 101.0)  # what came since is in it
    (name,) = Catalogue(place).ids()
    made, files, said = finished(world, place)
    assert (made.kept, made.manifest.id, made.torn) == (kept, name, [])
    assert len([one for one in files if one.startswith(("captions-0-00", "images"))]) == 7 - kept
    assert f"continuing the backup {name}" in said[0] or not kept
    assert made.manifest.counts["records"] == 8
    require_whole(world, made, place, redis_url, tmp_path / "b")


@pytest.mark.long
def test_one_that_is_killed_again_and_again(world: Wiring, redis_url: str, tmp_path: Path) -> None:
    place = FolderPlace(tmp_path / "to")
    for text in ("captions-0-00002", "captions-0-00002", "captions-0-00001", "images-00002", "images-00001"):
        killed(world, place, text)
    made, files, _ = finished(world, place)
    assert (made.kept, len([one for one in files if one.startswith("images")])) == (5, 2)
    require_whole(world, made, place, redis_url, tmp_path / "b")


def taught_meanwhile(world: Wiring) -> int:
    index = world.library.open("space", "mine@1")
    index.remove([caption_id("a moka pot")])
    index.add([Caption(caption_id("new"), "new", {SOURCE: "me"})], unit(1, index.dimension, 3))
    index.close()
    return 7


def another_version(world: Wiring) -> int:
    captioned(world, ["another one"], [], "yours")
    return 7


def made_anew(world: Wiring) -> int:
    captioned(world, ["another one"], [], "yours")
    world.library.drop("space", "mine@1")
    captioned(world, TEXTS[:30], [])
    return 3  # the images


def images_changed(world: Wiring) -> int:
    """One is new and one is another version, in different pages; one is removed in the first of them."""
    index = FolderImages(world.settings.images_folder).open(world.space.id, world.space.dimension)
    ids = sorted(image_id("inbox", f"{n}.jpg") for n in range(30))
    by_id = {image_id("inbox", f"{n}.jpg"): f"{n}.jpg" for n in range(30)}
    index.put([ImageEntry("inbox", by_id[ids[5]], "another etag")], unit(1, world.space.dimension, 9))
    index.remove([ids[22]])
    index.close()
    return 5


@pytest.mark.parametrize("change", [
    images_changed, pytest.param(taught_meanwhile, marks=pytest.mark.long),
    pytest.param(another_version, marks=pytest.mark.long), pytest.param(made_anew, marks=pytest.mark.long),
])  # fmt: skip
def test_what_changes_between_two_runs_is_made_anew(
    world: Wiring, redis_url: str, tmp_path: Path, change: Callable[[Wiring], int]
) -> None:
    place = FolderPlace(tmp_path / "to")
    killed(world, place, "manifest")
    kept = change(world)
    made, files, _ = finished(world, place)
    again = [one for one in files if one.startswith(("captions-0-00", "images"))]
    if change is not made_anew and change is not another_version:
        assert len(again) == 7 - kept
    other = wiring(redis_url, tmp_path / "b", "{other}:")
    assert put_back(other, made, place).differences == []
    assert images_of(other) == images_of(world)
    for version in {one.captions_version for one in world.library.manifests()}:
        assert contents(other, version) == contents(world, version)
    assert other.library.active("space") == world.library.active("space")
    assert {one.name for one in made.manifest.files} == {
        name.partition("/")[2] for name in place.names(f"{made.manifest.id}/")
    } - {MANIFEST}


def test_a_loss_of_redis_between_two_runs_begins_anew(world: Wiring, redis_url: str, tmp_path: Path) -> None:
    place = FolderPlace(tmp_path / "to")
    killed(world, place, "images-00002")
    (name,) = Catalogue(place).ids()
    world.redis.flushdb()
    filled(world, 12)
    world.data_loss.step()
    made, _, said = finished(world, place)
    assert any("is not continued" in one and "Redis lost its keys" in one for one in said)
    assert (made.kept, made.torn) == (0, [name])
    assert made.manifest.first_began is None
    require_whole(world, made, place, redis_url, tmp_path / "b")


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
