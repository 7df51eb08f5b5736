"""What cannot be restored, or saved, is refused by name, and nothing is changed."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.contract.backup.world import (
    differences,
    filled,
    put_back,
    save,
    values,
    wiring,
)  # fmt: skip
from tests.eventually import eventually
from vectordb.errors import Permanent
from workers.backup.form import MANIFEST, BackupError, DamagedBackup
from workers.backup.places import FolderPlace
from workers.backup.stored_backups import Catalogue
from workers.backup.writing import Progress
from workers.embedded.backup_access import reached
from workers.embedded.stack import command
from workers.lifecycle.migrations import MIGRATIONS
from workers.redis.connection import connect
from workers.redis.layout import RESTORING, VERSION
from workers.redis.maintenance_lock import LOCK, MaintenanceRunning, alone
from workers.redis.migration import Migrator
from workers.settings.settings import Settings


class Killed(BaseException):
    """The process ends here."""


pytestmark = pytest.mark.usefixtures("client")  # each test has an empty Redis


def test_nothing_is_restored_over_what_is_there(redis_url: str, tmp_path: Path) -> None:
    world = wiring(redis_url, tmp_path / "a")
    filled(world)
    before = values(world)
    made = save(world, tmp_path / "to")
    other = wiring(redis_url, tmp_path / "b", "{other}:")
    filled(other, 3)
    there = values(other)
    with pytest.raises(BackupError, match=r"there are keys of wildtag under '\{other\}:' already"):
        put_back(other, made, tmp_path / "to")
    assert values(other).keys() == there.keys()
    other.redis.set("{other}:mine", b"of somebody else")
    other.redis.set(other.keys.next + "record:inbox/a.png", b"of an encoder that prepares")
    put_back(other, made, tmp_path / "to", replace=True)
    assert not other.redis.exists(other.keys.next + "record:inbox/a.png")
    assert differences(before, values(other)) == []
    assert other.redis.get("{other}:mine") == b"of somebody else"


def test_another_bucket_another_number_of_partitions_and_a_newer_layout_are_refused(
    redis_url: str, tmp_path: Path
) -> None:
    world = wiring(redis_url, tmp_path / "a")
    filled(world)
    made = save(world, tmp_path / "to")
    for more, said in (({"bucket": "photos"}, "is of the bucket 'inbox'"), ({"partitions": 4}, "has 1 partitions")):
        other = wiring(redis_url, tmp_path / "b", "{other}:", **more)
        with pytest.raises(BackupError, match=said):
            put_back(other, made, tmp_path / "to")
    file = tmp_path / "to" / made.manifest.id / MANIFEST
    content = json.loads(file.read_text())
    content["layout_version"] = 99
    file.write_text(json.dumps(content))
    with pytest.raises(DamagedBackup, match="checksum"):  # not even read
        Catalogue(FolderPlace(tmp_path / "to")).named(None)
    assert not values(wiring(redis_url, tmp_path / "b", "{other}:"))


@pytest.mark.parametrize("how", ["missing", "cut off", "another one", "changed"])
def test_a_damaged_backup_is_refused_before_anything_is_restored(redis_url: str, tmp_path: Path, how: str) -> None:
    world = wiring(redis_url, tmp_path / "a")
    filled(world)
    made, second = save(world, tmp_path / "to"), save(world, tmp_path / "to")
    file = tmp_path / "to" / made.manifest.id / made.manifest.files[0].name
    content = file.read_bytes()
    if how == "missing":
        file.unlink()
    else:
        other_one = (tmp_path / "to" / second.manifest.id / file.name).read_bytes()
        changed = content[:50] + bytes((content[50] ^ 4,)) + content[51:]
        file.write_bytes({"cut off": content[:-9], "another one": other_one, "changed": changed}[how])
    other = wiring(redis_url, tmp_path / "b", "{other}:")
    with pytest.raises(DamagedBackup, match=file.name) as refused:
        put_back(other, made, tmp_path / "to")
    assert "Nothing was restored" in str(refused.value)
    assert how != "another one" or second.manifest.id in str(refused.value)
    assert not values(other)
    put_back(other, second, tmp_path / "to")


def test_a_backup_that_is_killed_is_none_and_can_be_removed(redis_url: str, tmp_path: Path) -> None:
    world = wiring(redis_url, tmp_path / "a")
    filled(world)
    first = save(world, tmp_path / "to")

    class Ends(FolderPlace):
        def write(self, name: str, data: bytes) -> str:
            if name.endswith(MANIFEST):
                raise Killed
            return super().write(name, data)

        def remove(self, name: str) -> None:  # noqa: ARG002 -- the Protocol's
            raise Killed  # as a process that was killed removes nothing

    with pytest.raises(Killed):
        save(world, Ends(tmp_path / "to"))
    world.redis.delete(world.keys.lock(LOCK))  # it has a lifetime
    catalogue = Catalogue(FolderPlace(tmp_path / "to"))
    assert len(catalogue.ids()) == 2
    assert catalogue.named(None) == first.manifest
    third = save(world, tmp_path / "to", keep=1, fresh=True)
    assert (len(third.torn), third.old) == (1, [first.manifest.id])
    assert catalogue.ids() == [third.manifest.id]


def test_one_command_at_a_time_works_on_all_keys(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = wiring(redis_url, tmp_path / "a")
    filled(world)
    made = save(world, tmp_path / "to")
    redis: Any = world.redis
    monkeypatch.setattr(alone.__wrapped__, "__defaults__", (300,))  # type: ignore[attr-defined]  # of a context manager
    with alone(world.redis, world.keys, "migrate", print, 60_000):
        with pytest.raises(MaintenanceRunning, match="another `wildtag migrate` is running on these keys"):
            save(world, tmp_path / "to")
        before = values(world)
        with pytest.raises(MaintenanceRunning, match="another `wildtag migrate` is running on these keys"):
            put_back(world, made, tmp_path / "to", replace=True)
        assert values(world) == before
    redis.set(world.keys.layout_version, VERSION - 1)
    with (
        alone(world.redis, world.keys, "restore", print, 60_000),
        pytest.raises(MaintenanceRunning, match="another `wildtag restore` is running"),
    ):
        Migrator(world.redis, world.keys, MIGRATIONS, lock_ms=300).run()


def test_unknown_keys_are_named(redis_url: str, tmp_path: Path) -> None:
    world = wiring(redis_url, tmp_path / "a")
    filled(world)
    world.redis.set(f"{world.keys.prefix}mine", 1)
    world.redis.rpush(f"{world.keys.prefix}embedding", "a message")
    made = save(world, tmp_path / "to")
    assert made.unknown == ["mine"]
    assert made.manifest.left_out == {"keys of Celery": 1, "keys that are not of the layout": 1}


def test_nothing_is_not_backed_up(redis_url: str, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="there is nothing to back up"):
        save(wiring(redis_url, tmp_path / "a"), tmp_path / "to")


def test_nothing_is_restored_while_a_process_runs(redis_url: str, tmp_path: Path) -> None:
    world = wiring(redis_url, tmp_path / "a")
    filled(world)
    made = save(world, tmp_path / "to")
    other = wiring(redis_url, tmp_path / "b", "{other}:")
    ended = threading.Event()

    def beat() -> None:
        client = connect(redis_url)
        while not ended.wait(0.05):
            client.hset(other.keys.heartbeats, "dispatcher", other.clock())

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        eventually(lambda: other.redis.exists(other.keys.heartbeats), 10)
        with pytest.raises(Permanent, match="dispatcher still running"):
            put_back(other, made, tmp_path / "to", require_stopped=None)
    finally:
        ended.set()
        thread.join()
    assert values(other).keys() == {b"heartbeats"}


def test_a_stack_is_refused_before_its_captions_are_encoded(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with reached(Settings(home=home), Progress(), create=True) as (world, _):
        world.redis.set(world.keys.layout_version, f"{RESTORING}wildtag-1 0")
    refused = subprocess.run(
        command("up"), env={**os.environ, "WILDTAG_HOME": str(home)}, check=False, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert refused.returncode == 1
    assert "are only a part of the backup wildtag-1" in " ".join(refused.stderr.split())
    assert "Encoding captions" not in refused.stderr + refused.stdout
    assert not (home / "captions").exists()
