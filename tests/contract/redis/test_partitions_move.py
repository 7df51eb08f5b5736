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


@pytest.mark.long
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


def test_the_objects_of_a_partition_that_lost_its_keys_are_found_again(world: PartitionedWorld) -> None:
    noticed: list[int] = []
    w = world.other
    world.wiring.data_loss.on_any_loss(lambda: noticed.append(1))
    client, keys = w.partition_clients[3], w.partitions.keys(3)

    def refilled() -> bool:
        w.refill.step()
        return w.refill.since() is None

    with world.running():
        world.put(40)
        eventually(lambda: world.done() == 40 and client.exists(keys.data_id), 60, every_s=0.1)
        w.redis.delete(w.keys.refill)  # records are complete
        lost = client.zcard(keys.objects)
        client.delete(*client.scan_iter(f"{keys.prefix}*"))
        eventually(lambda: noticed, 30)
        assert w.redis.exists(w.keys.refill)
        assert 0 < world.compare() == lost < 40
        eventually(lambda: world.done() == 40, 60, every_s=0.1)
        eventually(refilled, 30, every_s=0.1)
    assert noticed == [1]
    assert len(list(w.records.latest())) == 40
    assert len(world.feed()) == 40 + lost
