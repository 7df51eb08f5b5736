"""A backup during which keys are lost, an encoder is switched, or another stack interferes is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.backup.world import (
    captioned,
    filled,
    save,
    wiring,
)  # fmt: skip
from workers.backup.form import BackupError
from workers.backup.places import FolderPlace
from workers.backup.stored_backups import Catalogue, Unfinished
from workers.backup.writing import Progress

pytestmark = pytest.mark.usefixtures("client")  # each test has an empty Redis


@pytest.mark.parametrize("partitions", [1, 4])
def test_no_backup_is_made_of_keys_that_are_lost_while_it_reads(
    redis_url: str, tmp_path: Path, partitions: int
) -> None:
    world = wiring(redis_url, tmp_path / "a", partitions=partitions)
    filled(world)
    for _ in range(partitions):
        world.data_loss.step()  # as each process does: it gives the data an id
    first = save(world, tmp_path / "to")

    def lost(_: int) -> None:
        world.redis.flushdb()
        world.layout.require()

    with pytest.raises(BackupError, match="Redis lost its keys"):
        save(world, tmp_path / "to", Progress(done=lost), keep=1)
    assert Catalogue(FolderPlace(tmp_path / "to")).ids() == [first.manifest.id]


def test_no_backup_is_made_of_the_records_of_two_encoders(redis_url: str, tmp_path: Path) -> None:
    world = wiring(redis_url, tmp_path / "a")
    filled(world)

    def switch(_: int) -> None:
        world.redis.set(world.keys.encoder, b"another one")

    with pytest.raises(BackupError, match="another encoder was put into use"):
        save(world, tmp_path / "to", Progress(done=switch))
    assert Catalogue(FolderPlace(tmp_path / "to")).ids() == []


def test_a_backup_whose_files_another_stack_has_removed_is_none(redis_url: str, tmp_path: Path) -> None:
    world = wiring(redis_url, tmp_path / "a")
    filled(world)
    place = FolderPlace(tmp_path / "to")

    def cleaned(name: str, _: int) -> None:
        if name != "records":  # its file is written
            of = Unfinished(world.settings.key_prefix, world.settings.bucket)
            for one in Catalogue(place).torn(of):
                Catalogue(place).remove(one)

    captioned(world, ["caption"], [])
    with pytest.raises(BackupError, match=r"redis-00001\.msgpack\.zst: if another stack saves to"):
        save(world, place, Progress(step=cleaned), captions=True)
    assert Catalogue(place).ids() == []


def test_backups_from_before_a_loss_are_not_rotated_away(redis_url: str, tmp_path: Path) -> None:
    world = wiring(redis_url, tmp_path / "a")
    filled(world)
    full = save(world, tmp_path / "to")
    world.redis.flushdb()
    world.layout.require()
    filled(world, objects=8)
    place = FolderPlace(tmp_path / "to")
    for _ in range(3):
        last = save(world, tmp_path / "to", keep=1)
        assert last.spared == [full.manifest.id]
    assert Catalogue(place).ids() == [full.manifest.id, last.manifest.id]
    world.redis.flushdb()
    filled(world)
    whole_again = save(world, tmp_path / "to", keep=1)
    assert (whole_again.spared, len(whole_again.old)) == ([], 2)
    assert Catalogue(place).ids() == [whole_again.manifest.id]
