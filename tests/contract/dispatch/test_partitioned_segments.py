"""The segmentation queues of several partitions: all get their turn, and one that is away stops no other."""

from __future__ import annotations

from typing import Any

import pytest

from vectordb.errors import Transient
from workers.lifecycle.ledger import Waiting
from workers.lifecycle.partitioned_ledger import PartitionedLedger
from workers.redis.connection import Client, connect
from workers.redis.keys import Keys
from workers.redis.partition_faults import PartitionFaults
from workers.redis.partitions import Partitions
from workers.segmentation.partitioned_queue import PartitionedSegmentQueue
from workers.segmentation.queue import SegmentQueue

COUNT, AWAY = 4, 1
OIDS = [f"b/{n}.jpg" for n in range(40)]


@pytest.fixture
def partitions() -> Partitions:
    return Partitions(Keys("{test}:"), COUNT)


def queue(clients: list[Client], partitions: Partitions, faults: PartitionFaults) -> PartitionedSegmentQueue:
    ledger = PartitionedLedger(partitions, clients[0], clients, 100, faults)
    queues = [
        SegmentQueue(client, keys, ledger, 8, lambda: 1000.0)
        for client, keys in zip(clients, partitions.all, strict=True)
    ]
    return PartitionedSegmentQueue(queues, partitions, faults, ledger, 8, lambda: 1000.0)


def fill(client: Any, partitions: Partitions) -> None:
    for at, oid in enumerate(OIDS):
        client.zadd(partitions.keys(partitions.of(oid)).segmentation_queue, {oid: at})


def test_all_partitions_get_their_turn(client: Client, partitions: Partitions) -> None:
    fill(client, partitions)
    segments = queue([client] * COUNT, partitions, PartitionFaults(COUNT))
    found: list[str] = []
    while (turn := segments.poll()) is not None:
        assert 0 < len(turn) <= 8
        found += [event.id for event in turn]
        segments.drop([event.id for event in turn])
    assert sorted(found) == sorted(OIDS)


def test_what_is_put_off_comes_after_the_others(client: Client, partitions: Partitions) -> None:
    fill(client, partitions)
    segments = queue([client] * COUNT, partitions, PartitionFaults(COUNT))
    first = [event.id for event in segments.poll() or []]
    segments.put_off(first)
    assert segments.poll() == []  # it rests
    keys = partitions.keys(partitions.of(first[0]))
    assert set(client.zrange(keys.segmentation_queue, -len(first), -1)) >= {first[0].encode()}


def test_a_partition_that_is_away_stops_no_other(client: Client, partitions: Partitions) -> None:
    fill(client, partitions)
    known: set[str] = set()

    def register(fault: Transient) -> str | None:
        known.add(fault.service or "")
        return fault.service

    clients = [client] * COUNT
    clients[AWAY] = connect("redis://127.0.0.1:1", tries=1)
    segments = queue(clients, partitions, PartitionFaults(COUNT, known.__contains__, register))
    found: set[str] = set()
    while turn := segments.poll(Waiting(0, 0, 40, 0)):
        found |= {event.id for event in turn}
        segments.drop([event.id for event in turn])
    assert found == {oid for oid in OIDS if partitions.of(oid) != AWAY}
    assert known == {f"redis/{AWAY}"}
