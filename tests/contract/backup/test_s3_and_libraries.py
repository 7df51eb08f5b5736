"""Backups on an S3 server, and of captions and the index of images."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.backup.world import captioned, filled, put_back, restoring, save, unit, values, wiring
from tests.contract.s3_server import store_at
from vectordb.image_folder import FolderImages
from vectordb.images import ImageEntry
from vectordb.library import VersionExists
from workers.backup.form import BackupError, DamagedBackup
from workers.backup.places import BucketPlace
from workers.backup.stored_backups import Catalogue
from workers.backup.writing import Progress
from workers.embedded.backup_access import place_of
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring

pytestmark = pytest.mark.usefixtures("client")  # each test has an empty Redis


def contents(world: Wiring, name: str = "mine@1") -> dict[str, tuple[float, ...]]:
    index = world.library.open("space", name)
    try:
        return {
            one.text: tuple(map(float, row))
            for page, rows in index.pages()
            for one, row in zip(page, rows, strict=True)
        }
    finally:
        index.close()


def test_captions_come_back_with_what_was_taught(redis_url: str, tmp_path: Path) -> None:
    world = wiring(redis_url, tmp_path / "a")
    filled(world, 3)
    manifest = captioned(world, [f"caption {n}" for n in range(1500)], ["a moka pot"])
    made = save(world, tmp_path / "to", captions=True)
    assert [one.captions for one in made.manifest.captions] == [1501]
    other = wiring(redis_url, tmp_path / "b", "{other}:")
    assert put_back(other, made, tmp_path / "to").differences == []
    assert contents(other) == contents(world)
    assert other.library.find("space", "mine@1") == manifest
    assert other.library.active("space") == "mine@1"

    third = wiring(redis_url, tmp_path / "c", "{third}:")
    captioned(third, [f"caption {n}" for n in range(1500)], ["something else"])
    for _ in range(2):  # a repetition must not pass as the continuation of an interrupted restore
        with pytest.raises(VersionExists, match="1 were taught to them"):
            put_back(third, made, tmp_path / "to")
        assert "something else" in contents(third)
        assert not restoring(third)
    put_back(third, made, tmp_path / "to", replace=True)
    assert contents(third) == contents(world)


def test_captions_whose_number_was_recorded_wrongly_come_back(redis_url: str, tmp_path: Path) -> None:
    """As `wildtag encoder switch` recorded it once: with the taught ones. The restore refused such a backup."""
    world = wiring(redis_url, tmp_path / "a")
    filled(world, 3)
    captioned(world, ["caption 1", "caption 2"], ["a moka pot"], recorded=3)
    said: list[str] = []
    made = save(world, tmp_path / "to", Progress(say=said.append), captions=True)
    assert "2 imported captions are there, and 3 were recorded" in said[0]
    other = wiring(redis_url, tmp_path / "b", "{other}:")
    assert put_back(other, made, tmp_path / "to").differences == []
    assert contents(other) == contents(world)


def test_nothing_is_removed_for_a_backup_that_does_not_fit(redis_url: str, tmp_path: Path) -> None:
    world = wiring(redis_url, tmp_path / "a")
    filled(world, 3)
    captioned(world, ["caption 1"], [])
    made = save(world, tmp_path / "to", captions=True)
    other = wiring(redis_url, tmp_path / "b", "{other}:")
    filled(other, 5)
    captioned(other, ["caption 1", "caption 2"], [])  # of the same name
    before = values(other)
    with pytest.raises(VersionExists, match="there are other captions mine@1 already"):
        put_back(other, made, tmp_path / "to", replace=True)
    assert values(other) == before


def test_an_index_of_images_stays_however_often_a_restore_is_tried(redis_url: str, tmp_path: Path) -> None:
    world = wiring(redis_url, tmp_path / "a")
    filled(world, 3)
    with_images(world, 2)
    made = save(world, tmp_path / "to", images=True)
    other = wiring(redis_url, tmp_path / "b", "{other}:")
    with_images(other, 5)
    for _ in range(2):
        with pytest.raises(BackupError, match="an index of images already"):
            put_back(other, made, tmp_path / "to")
        assert not restoring(other)
        index = FolderImages(other.settings.images_folder).open(world.space.id, world.space.dimension)
        assert index.count() == 5
        index.close()


def with_images(world: Wiring, count: int) -> None:
    space = world.space
    index = FolderImages(world.settings.images_folder).open(space.id, space.dimension)
    entries = [ImageEntry("inbox", f"{n}.jpg", f"etag-{n}", "c@1", 0.1, 0.2, b"h" * 32) for n in range(count)]
    index.put(entries, unit(count, space.dimension))
    index.close()


def test_the_index_of_images_comes_back_and_can_be_left_out(redis_url: str, tmp_path: Path) -> None:
    world = wiring(redis_url, tmp_path / "a")
    filled(world, 5)
    space = world.space
    index = FolderImages(world.settings.images_folder).open(space.id, space.dimension)
    vectors = unit(3, space.dimension)
    entries = [ImageEntry("inbox", f"{n}.jpg", f"etag-{n}", "c@1", 0.1, 0.2, b"h" * 32) for n in (2, 3, 77)]
    index.put(entries, vectors)
    index.close()
    made = save(world, tmp_path / "to", images=True)
    assert made.manifest.images is not None
    assert made.manifest.images.images == 3
    for name, images, count in (("{other}:", True, 3), ("{third}:", False, 0)):
        other = wiring(redis_url, tmp_path / name, name)
        put_back(other, made, tmp_path / "to", images=images)
        restored = FolderImages(other.settings.images_folder).open(space.id, space.dimension)
        try:
            assert restored.count() == count
            if count:
                found = restored.search(vectors[:1], 1)[0].entries[0]
                assert (found.key, found.hash, found.floor) == ("2.jpg", b"h" * 32, 0.1)
                assert restored.search_words({"2": 1.0}, 5).entries or restored.facts([entries[0].id])[0].words > 0
        finally:
            restored.close()
        assert other.redis.exists(other.keys.images_verify)


def test_a_bucket_holds_backups(moto_url: str, redis_url: str, tmp_path: Path, bucket: str) -> None:
    store = store_at(moto_url, bucket)
    store.connection.client.make_bucket(bucket)
    world = wiring(redis_url, tmp_path / "a")
    filled(world)
    place = BucketPlace(store, bucket, "some/where")
    first = save(world, place)
    second = save(world, place, keep=1)
    assert second.old == [first.manifest.id]
    keys = [one.ref.key for one in store.list(bucket)]
    assert keys == [
        f"some/where/{second.manifest.id}/{name}" for name in ("manifest.json", "redis-00001.msgpack.zst")
    ]
    other = wiring(redis_url, tmp_path / "b", "{other}:")
    assert put_back(other, second, place).differences == []
    store.remove(bucket, keys[1])
    assert Catalogue(place).verify(second.manifest)
    third = wiring(redis_url, tmp_path / "c", "{third}:")
    with pytest.raises(DamagedBackup, match=r"redis-00001\.msgpack\.zst .* is missing"):
        put_back(third, second, place)


def test_the_server_of_the_settings_or_another_one(tmp_path: Path) -> None:
    settings = Settings(s3_endpoint="http://minio:9000", s3_access_key="settings")
    assert place_of(settings, "s3://b/p", None, None).name == "s3://b/p"
    assert place_of(settings, str(tmp_path), None, None).name == str(tmp_path)
