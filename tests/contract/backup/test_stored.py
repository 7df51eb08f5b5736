"""Backups that earlier versions have written are restored by this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.backup.test_s3_and_libraries import contents
from tests.contract.backup.world import put_back, wiring
from workers.backup.places import FolderPlace
from workers.backup.stored_backups import Catalogue
from workers.embedded.backup_writing import Outcome

pytestmark = pytest.mark.usefixtures("client")  # each test has an empty Redis
STORED = Path("tests/data/backups")
BACKUPS = Catalogue(FolderPlace(STORED)).ids()


@pytest.mark.parametrize("name", BACKUPS)
def test_it_is_restored(redis_url: str, tmp_path: Path, name: str) -> None:
    manifest = Catalogue(FolderPlace(STORED)).named(name)
    world = wiring(redis_url, tmp_path / "home", "{restored}:", manifest.partitions)
    done = put_back(world, Outcome(manifest, (), (), (), ()), STORED)
    assert done.differences == []
    world.layout.require()
    assert world.records.counts()["done"] == 23
    assert set(world.records.tag_index.tagged("cat")) == {f"inbox/{n}.jpg" for n in range(0, 30, 2) if n % 5}
    assert world.statements.objects() == ["inbox/3.jpg"]
    assert [one.name for one in world.api_keys.list()] == ["for me"]
    assert len(contents(world)) == 21
    assert world.ledger.in_flight() == 6


def test_there_is_one() -> None:
    assert BACKUPS
