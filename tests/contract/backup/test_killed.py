"""The commands themselves are killed, wherever they are: a backup is whole or none, and a restore goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.contract.backup.continuing import images_of
from tests.contract.backup.test_s3_and_libraries import contents, with_images
from tests.contract.backup.world import captioned, differences, filled, restoring, values, wiring
from tests.contract.own_redis import OwnRedis
from tests.eventually import eventually
from workers.backup.places import FolderPlace
from workers.backup.stored_backups import Catalogue
from workers.redis.maintenance_lock import LOCK
from workers.wiring.wiring import Wiring

pytestmark = [pytest.mark.timeout(300), pytest.mark.long]
OBJECTS = 2_000
ROOT = Path(__file__).parents[3]


@pytest.fixture
def url() -> Iterator[str]:
    """A Redis of its own."""
    server = OwnRedis()
    server.start()
    yield server.url
    server.close()


def environment(world: Wiring) -> Mapping[str, str]:
    s = world.settings
    return {
        **os.environ, "WILDTAG_HOME": str(s.home), "WILDTAG_REDIS_URL": s.redis_url,
        "WILDTAG_KEY_PREFIX": s.key_prefix, "WILDTAG_PARTITIONS": str(s.partitions), "PYTHONPATH": str(ROOT),
    }  # fmt: skip


def begun(world: Wiring, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "workers.cli", *arguments], env=environment(world), cwd=ROOT)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(10)


@pytest.mark.parametrize("partitions", [1, 4])
def test_a_restore_that_is_killed_again_and_again(url: str, tmp_path: Path, partitions: int) -> None:
    world = wiring(url, tmp_path / "a", partitions=partitions)
    filled(world, OBJECTS)
    before = values(world)
    assert begun(world, "backup", str(tmp_path / "to")).wait(60) == 0
    other = wiring(url, tmp_path / "b", "{other}:", partitions)
    seen = 0
    for share in (0.05, 0.4, 0.8):
        process = begun(other, "restore", str(tmp_path / "to"))

        def written() -> int:
            return other.records.counts().get("done", 0)

        eventually(lambda least=share: written() >= least * OBJECTS * 0.8, 90, every_s=0.001)  # type: ignore[misc]  # its default is its value
        kill(process)
        assert restoring(other)
        other.redis.delete(other.keys.lock(LOCK))  # it has a lifetime, which the other test waits for
        assert written() >= seen
        seen = written()
    assert begun(other, "restore", str(tmp_path / "to")).wait(90) == 0
    assert differences(before, values(other)) == []
    other.layout.require()


def test_a_backup_that_is_killed(url: str, tmp_path: Path) -> None:
    world = wiring(url, tmp_path / "a")
    filled(world, OBJECTS)
    assert begun(world, "backup", str(tmp_path / "to")).wait(60) == 0
    catalogue = Catalogue(FolderPlace(tmp_path / "to"))
    first = catalogue.named(None)
    process = begun(world, "backup", str(tmp_path / "to"))
    eventually(lambda: len(catalogue.ids()) == 2, 60, every_s=0.001)
    kill(process)
    assert catalogue.named(None) == first
    assert (
        begun(world, "backup", str(tmp_path / "to"), "--keep", "1").wait(90) == 0
    )  # waits for the lock of the killed
    (last,) = catalogue.ids()
    assert last > first.id
    assert catalogue.verify(catalogue.named(last)) == []


DYING = """
import os, runpy, signal, sys
from workers.backup.places import FolderPlace
text, after, write = sys.argv[1], sys.argv[2] == "after", FolderPlace.write

def dying(self, name, data):
    if text not in name:
        return write(self, name, data)
    if after:
        write(self, name, data)
    os.kill(os.getpid(), signal.SIGKILL)

FolderPlace.write = dying
sys.argv = ["wildtag", *sys.argv[3:]]
runpy.run_module("workers.cli", run_name="__main__", alter_sys=True)
"""


def test_a_backup_that_is_killed_at_every_stage_is_continued(url: str, tmp_path: Path) -> None:
    world = wiring(url, tmp_path / "a")
    filled(world, OBJECTS)
    captioned(world, [f"caption {n} {'long ' * 100}" for n in range(30_000)], ["a moka pot"])  # three files
    with_images(world, 6_000)  # two
    place = FolderPlace(tmp_path / "to")
    names = set()
    for text, when in (
        ("unfinished", "after"), ("redis-00001", "after"), ("captions-0-00002", "before"), ("captions", "after"),
        ("taught", "before"), ("images-00001", "after"), ("images-00001", "before"),
        ("manifest", "before"),
    ):  # fmt: skip
        command = [sys.executable, "-P", "-c", DYING, text, when, "backup", str(tmp_path / "to")]
        dead = subprocess.run(command, env=environment(world), cwd=ROOT, timeout=120, check=False)
        assert dead.returncode == -signal.SIGKILL
        world.redis.delete(world.keys.lock(LOCK))  # it has a lifetime, which the other test waits for
        names |= set(Catalogue(place).ids())
        assert Catalogue(place).find(next(iter(names))) is None
    assert len(names) == 1
    done = subprocess.run(
        [sys.executable, "-P", "-m", "workers.cli", "backup", str(tmp_path / "to"), "--json"], env=environment(world),
        cwd=ROOT, timeout=120, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "continuing the backup" in done.stderr
    made = json.loads(done.stdout)
    assert (made["files_kept"], made["captions"], made["images"]) == (5, 30_001, 6_000)
    other = wiring(url, tmp_path / "b", "{other}:")
    assert begun(other, "restore", str(tmp_path / "to")).wait(200) == 0
    assert differences(values(world), values(other)) == []
    assert contents(other) == contents(world)
    assert images_of(other) == images_of(world)
