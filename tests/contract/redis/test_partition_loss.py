"""A partition that has lost its keys is noticed, and the bucket is compared from its beginning."""

from __future__ import annotations

from typing import Any

import pytest

from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import Inbox
from workers.redis.connection import Client
from workers.redis.data_loss import DataLoss, Refill
from workers.redis.keys import Keys
from workers.redis.layout import Layout
from workers.redis.partition_faults import PartitionFaults
from workers.redis.partition_loss import PartitionLoss
from workers.redis.partitions import Partitions

COUNT = 6


@pytest.fixture
def partitions() -> Partitions:
    return Partitions(Keys("{test}:"), COUNT)


class Process:
    """What a process does to notice losses."""

    def __init__(self, client: Client, partitions: Partitions) -> None:
        self.layout = Layout(client, partitions.base, COUNT)
        self.layout.require()
        faults = PartitionFaults(COUNT)
        lost = PartitionLoss(client, partitions, [client] * COUNT, faults, "b", lambda: 1000.0)
        self._loss = DataLoss(client, partitions.base, self.layout, lost)
        self.noticed: list[str] = []
        self._loss.on_loss(lambda: self.noticed.append("all"))
        self._loss.on_any_loss(lambda: self.noticed.append("some"))
        self.look()

    def look(self) -> None:
        for _ in range(COUNT):
            self._loss.step()


def lose(client: Any, partitions: Partitions, partition: int) -> None:
    client.delete(*client.keys(f"{partitions.keys(partition).prefix}*"))


def test_the_loss_of_a_partition_is_noticed_once(client: Client, partitions: Partitions) -> None:
    keys = partitions.base
    first, second = Process(client, partitions), Process(client, partitions)
    client.delete(keys.refill)  # records are complete
    client.hset(keys.reconcile("b"), "after", "m.jpg")
    client.set(keys.statements_restored, 1)
    first.look()
    assert first.noticed == []
    lose(client, partitions, 3)
    for process in (first, second):
        process.look()
        process.look()
        assert process.noticed == ["some"]
    assert client.hgetall(keys.refill) == {b"since": b"1000.0"}
    assert client.exists(keys.reconcile("b"), keys.statements_restored) == 0


def test_a_loss_while_nothing_ran_is_noticed_at_the_start(client: Client, partitions: Partitions) -> None:
    Process(client, partitions)
    client.delete(partitions.base.refill)
    lose(client, partitions, 5)
    assert Process(client, partitions).noticed == ["some"]
    assert client.exists(partitions.base.refill) == 1
    assert Process(client, partitions).noticed == []


def test_a_new_prefix_has_lost_nothing(client: Client, partitions: Partitions) -> None:
    assert Process(client, partitions).noticed == []


def test_records_are_complete_when_all_inboxes_were_emptied(client: Client, partitions: Partitions) -> None:
    keys = partitions.base
    Process(client, partitions)
    inboxes = [(client, one.inbox) for one in (*partitions.all, keys)]
    refill = Refill(client, keys, inboxes=inboxes)
    waiting = Inbox(client, partitions.keys(4).inbox)
    waiting.prepare()
    waiting.append([ObjectEvent("created", "b", "1.jpg")])
    refill.swept(refill.since())
    refill.step()
    assert refill.since() is not None
    waiting.done([entry for entry, _ in waiting.read("me", 1, None)])
    refill.step()
    assert refill.since() is None
