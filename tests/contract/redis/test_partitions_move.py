"""Four partitions on a real cluster of three nodes: images flow while slots are moved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.own_cluster import SLOT, OwnCluster
from tests.contract.redis.partitioned_world import PARTITIONS, PartitionedWorld, slot_of
from tests.eventually import eventually
from vectordb.errors import Transient


@pytest.fixture
def world(cluster: OwnCluster, tmp_path: Path) -> Iterator[PartitionedWorld]:
    cluster.flush()
    yield PartitionedWorld(cluster, tmp_path)
    cluster.flush()


def test_images_flow_while_the_slots_of_partitions_are_moved(world: PartitionedWorld) -> None:
    with world.running():
        for slot in (slot_of(1), SLOT, slot_of(3)):
            world.put(30)
            world.move(slot)
        world.put(10)
        eventually(lambda: world.done() == 100, 60, every_s=0.1, despite=(Transient,))
    world.assert_complete()


def test_objects_are_spread_over_the_partitions(world: PartitionedWorld) -> None:
    with world.running():
        world.put(60)
        eventually(lambda: world.done() == 60, 60, every_s=0.1)
    world.assert_complete()
    of_each = [
        client.zcard(keys.objects)
        for client, keys in zip(world.other.partition_clients, world.other.partitions.all, strict=True)
    ]
    assert len(of_each) == PARTITIONS
    assert min(of_each) > 0
    assert sum(of_each) == 60
    assert not world.other.redis.exists(world.other.keys.objects, world.other.keys.records)
