"""A failover to a replica that is behind loses what the replica never received, and says how much that is."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ops.chaos import redis_faults
from ops.chaos.fault import Fault
from ops.chaos.redis_faults import Failover
from ops.chaos.redis_process import RedisProcess
from tests.eventually import eventually


class Home:
    """As much of the world as a failover needs. What the stack writes meanwhile, it writes."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.redis = RedisProcess(home / "own-redis")
        self.redis.start()
        self.losses: list[dict[str, int]] = []

    def promote(self, replica: RedisProcess) -> None:
        self.redis = replica


def test_what_the_replica_never_received_is_lost_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world: Any = Home(tmp_path)
    primary = world.redis
    primary.client.xadd("feed", {"n": 0})

    def sleep(_: float) -> None:  # while the replica is cut off
        for number in range(3):
            primary.client.xadd("feed", {"n": number})
        primary.client.set("late", 1)

    monkeypatch.setattr(redis_faults, "time", SimpleNamespace(sleep=sleep))
    fault: Fault = Failover(world, 0.5)
    try:
        fault.begin()
        (loss,) = world.losses
        assert (loss["feed"], loss["keys"]) == (3, 1)
        assert loss["bytes"] > 100
        assert world.redis is not primary
        eventually(lambda: world.redis.client.info("replication")["role"] == "master", 10)
        assert world.redis.client.xlen("feed") == 1
        assert world.redis.client.get("late") is None
        assert world.redis.client.set("writable", 1)
    finally:
        world.redis.end()
        primary.end()
