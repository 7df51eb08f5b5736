"""The private Redis on a disk that gets full: what it has accepted is there afterwards, and it starts again."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.contract.small_disk import fill, needs_root, small_disk
from tests.eventually import eventually
from workers.embedded.redis_server import PrivateRedis
from workers.redis.persistence import risks
from workers.redis.persistence_watch import PersistenceWatch
from workers.supervision.supervisor import Supervisor

pytestmark = [pytest.mark.long, needs_root]

SOON_S = 60.0


class World:
    """A private Redis under its supervisor, on a disk of its own, and what it has accepted."""

    def __init__(self, disk: Path, supervisor: Supervisor, server: PrivateRedis) -> None:
        self.disk, self.supervisor, self.server = disk, supervisor, server
        self.client: Any = server.client()
        self.accepted: dict[bytes, bytes] = {}

    def write(self, number: int, size: int = 900) -> bool:
        """Whether it accepts a value."""
        key, value = b"%d" % number, os.urandom(size)
        try:
            self.client.set(key, value)
        except redis.RedisError:
            return False
        self.accepted[key] = value
        return True

    def turn(self) -> bool:
        """One round of the supervisor."""
        self.supervisor.watch()
        return True

    def answers(self) -> bool:
        """Whether it runs, after a round of the supervisor."""
        self.turn()
        with suppress(redis.RedisError):
            return bool(self.client.ping())
        return False

    def fill_and_free(self) -> None:
        """Fill the disk until writes are refused; then it has room again, and writes are accepted."""
        self.client.bgrewriteaof()  # now the file is one that is not opened for appending
        eventually(lambda: not self.client.info("persistence")["aof_rewrite_in_progress"], SOON_S)
        other = fill(self.disk, 600_000)
        assert any(not self.write(number) for number in range(20_000))
        assert self.client.info("persistence")["aof_last_write_status"] == "err"
        assert any("cannot write its append-only file" in risk for risk in risks([self.client]))
        self.turn()  # its logs are on the full disk
        other.unlink()
        eventually(lambda: self.write(30_000), SOON_S, every_s=0.2)
        assert self.client.info("persistence")["aof_last_write_status"] == "ok"

    def kill(self) -> None:
        """Kill the server; its supervisor starts it again, and everything that it had accepted is there."""
        self.client.config_set("appendfsync", "always")
        assert self.write(40_000)
        pid = self.client.info("server")["process_id"]
        os.kill(pid, 9)
        eventually(self.answers, SOON_S, lambda: (self.disk / "logs/redis.log").read_text()[-3000:], every_s=0.05)
        assert self.client.info("server")["process_id"] != pid
        kept = {key: self.client.get(key) for key in self.accepted}
        assert kept == self.accepted


@contextmanager
def started(disk: Path) -> Iterator[World]:
    with Supervisor(disk) as supervisor:
        server = PrivateRedis(disk)
        supervisor.start([server.service()])
        yield World(disk, supervisor, server)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    assert threading.current_thread() is threading.main_thread()
    with small_disk(tmp_path / "disk", "size=12m") as disk, started(disk) as made:
        yield made


def test_it_is_killed_before_its_file_was_rewritten(world: World) -> None:
    world.fill_and_free()
    world.kill()
    (kept,) = (world.disk / "redis/damaged").iterdir()
    assert b"\0" * 4 in kept.read_bytes()


def test_its_file_is_rewritten_once_it_can_write_again(world: World) -> None:
    watch = PersistenceWatch([world.client])
    watch.step()
    world.fill_and_free()
    # the watch looks every two seconds, and a full disk lasts longer than that
    world.client.config_set("appendfsync", "everysec")
    other = fill(world.disk, 300_000)
    assert any(not world.write(number) for number in range(50_000, 60_000))
    watch.step()
    other.unlink()
    eventually(lambda: world.write(60_001), SOON_S, every_s=0.2)
    before = world.client.info("persistence")["aof_base_size"]

    def rewritten() -> bool:
        watch.step()
        info = world.client.info("persistence")
        return bool(info["aof_base_size"] > before and not info["aof_rewrite_in_progress"])

    eventually(rewritten, SOON_S, every_s=0.2)
    world.kill()
    assert not (world.disk / "redis/damaged").exists()
