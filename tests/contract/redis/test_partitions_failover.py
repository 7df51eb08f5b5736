"""A node of a cluster with four partitions is killed while images flow: what it costs, and that it is repaired."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from tests.contract.own_cluster import Node, OwnCluster, own_cluster
from tests.contract.redis.partitioned_world import PARTITIONS, PartitionedWorld, slot_of
from tests.eventually import eventually
from vectordb.errors import Transient
from workers.redis.partition_faults import service_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
UNREPLICATED_S = 0.5


@pytest.fixture
def own() -> Iterator[OwnCluster]:
    """The other slots are served while a node is away."""
    with own_cluster(replicas=True) as made:
        for node in made.nodes:
            node.client.config_set("cluster-require-full-coverage", "no")
        yield made


@pytest.fixture
def world(own: OwnCluster, tmp_path: Path) -> PartitionedWorld:
    return PartitionedWorld(own, tmp_path)


@dataclass
class Loss:
    """What a failover cost. ``records``, ``unknown``: lost ones, and images that nothing knew of afterwards."""

    put: int
    finished: int
    records: int
    unknown: int
    others: int
    away_s: float


def partitions_of(own: OwnCluster, node: Node) -> list[int]:
    return [partition for partition in range(PARTITIONS) if own.owner(slot_of(partition)) is node]


def fail_over(world: PartitionedWorld, own: OwnCluster, node: Node, *, unreplicated_s: float = 0.0) -> Loss:
    """Kill a node under load, and wait until its replica serves. ``unreplicated_s``: its last writes, so long, are on
    no replica.
    """
    theirs = partitions_of(own, node)
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            world.put(5)
            time.sleep(0.02)  # 250 images a second at most

    loading = threading.Thread(target=load)
    loading.start()
    eventually(lambda: len(world.finished) > 300, 60)
    if unreplicated_s:
        node.client.execute_command("ACL", "SETUSER", "default", "-psync", "-sync")
        node.client.execute_command("CLIENT", "KILL", "TYPE", "replica")
        time.sleep(unreplicated_s)  # the load goes on
    node.kill()
    killed, before = time.monotonic(), {oid for _, oid in list(world.finished)}

    def served() -> bool:
        world.other.records.counts()
        return all(own.owner(slot_of(partition)) is not node for partition in theirs)

    eventually(served, 60, every_s=0.05, despite=(Transient, redis.RedisError, AssertionError))
    away_s = time.monotonic() - killed
    others = [
        oid for at, oid in list(world.finished)
        if killed < at < killed + away_s and world.other.partitions.of(oid) not in theirs
    ]  # fmt: skip
    stop.set()
    loading.join(60)
    keys = [f"{number}.jpg" for number in list(world.put_numbers)]
    oids = [f"{world.settings.bucket}/{key}" for key in keys]
    lost = [oid for oid, one in zip(sorted(before), world.other.records.stored(sorted(before)), strict=True)
            if one is None]  # fmt: skip
    # whatever is on its way arrives, also what the keeper sends again
    settled(world)
    unknown = [oid for oid, one in zip(oids, world.other.records.stored(oids), strict=True) if one is None]
    return Loss(len(oids), len(before), len(lost), len(unknown), len(others), away_s)


def settled(world: PartitionedWorld) -> None:
    """Wait until nothing is on its way."""

    def idle() -> bool:
        counts = world.other.records.counts()
        return counts["in_flight"] == 0 and world.other.inbox.length() == 0

    eventually(idle, 90, every_s=0.2, despite=(Transient,))
    eventually(idle, 90, every_s=0.2, despite=(Transient,))


def repaired(world: PartitionedWorld, loss: Loss) -> None:
    """The comparison with the bucket finds what was lost, and nothing is missing afterwards."""
    assert world.compare() == loss.unknown
    eventually(lambda: world.done() == loss.put, 60, every_s=0.1)
    expected = {f"{world.settings.bucket}/{n}.jpg" for n in world.put_numbers}
    eventually(lambda: set(world.feed()) == expected, 30, every_s=0.1)
    records = world.other.records
    assert Counter(one.id for one in records.latest()) == dict.fromkeys(expected, 1)
    assert sum(count for _, count in records.tag_index.common()) == loss.put
    assert records.counts()["dead"] == 0


@pytest.mark.parametrize("unreplicated_s", [0.0, UNREPLICATED_S])
def test_a_node_with_one_partition_is_killed(world: PartitionedWorld, own: OwnCluster, unreplicated_s: float) -> None:
    node = own.owner(slot_of(3))
    assert partitions_of(own, node) == [3]
    with world.running():
        loss = fail_over(world, own, node, unreplicated_s=unreplicated_s)
        print(loss, unreplicated_s)  # noqa: T201 -- the figures of decision 0043
        assert world.wiring.outage_tracker.is_active(service_of(0)) is False
        repaired(world, loss)


@pytest.mark.parametrize("unreplicated_s", [0.0, UNREPLICATED_S])
def test_a_node_with_two_partitions_and_the_common_keys_is_killed(
    world: PartitionedWorld, own: OwnCluster, unreplicated_s: float
) -> None:
    node = own.owner(slot_of(1))
    assert partitions_of(own, node) == [1, 2]
    with world.running():
        loss = fail_over(world, own, node, unreplicated_s=unreplicated_s)
        print(loss, unreplicated_s)  # noqa: T201 -- as above
        repaired(world, loss)


def test_a_partition_that_stays_away_stops_only_its_own_objects(world: PartitionedWorld, own: OwnCluster) -> None:
    node = own.owner(slot_of(3))
    replica = own.replicas[own.primaries.index(node)]
    with world.running():
        world.put(20)
        eventually(lambda: world.done() == 20, 60, every_s=0.1)
        replica.kill()
        node.kill()
        world.put(40)
        expected = {
            f"{world.settings.bucket}/{n}.jpg" for n in world.put_numbers
            if world.other.partitions.of(f"{world.settings.bucket}/{n}.jpg") != 3
        }  # fmt: skip
        eventually(lambda: {oid for _, oid in list(world.finished)} >= expected, 60, every_s=0.1)
        assert [one.name for one in world.wiring.outage_tracker.active()] == ["redis/3"]
        node.start()
        eventually(lambda: world.done() == 60, 90, every_s=0.2, despite=(Transient,))
    world.assert_complete()
