"""The ledger of several partitions goes on without one that is away, and waits for one that comes back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.contract.redis.cluster_objects import REVISION, record, ref
from vectordb.errors import Transient
from workers.lifecycle.ledger import Arrival, Overdue
from workers.lifecycle.outcomes import Before
from workers.lifecycle.partitioned_ledger import PartitionedLedger
from workers.redis.connection import Client, StoreUnavailable, connect
from workers.redis.keys import Keys
from workers.redis.partition_faults import PartitionFaults
from workers.redis.partitions import Partitions

COUNT, AWAY = 4, 2
REFS = [ref(n) for n in range(40)]


@pytest.fixture
def partitions() -> Partitions:
    return Partitions(Keys("{test}:"), COUNT)


class Outages:
    """What a tracker does, for one partition whose server is killed."""

    def __init__(self, *, returns: bool = False) -> None:
        self.known: set[str] = set()
        self.waits: list[float] = []
        self.back: Callable[[], object] = lambda: None
        self._returns = returns
        self.faults = PartitionFaults(COUNT, self.known.__contains__, self._register, self._wait)

    def _register(self, fault: Transient) -> str | None:
        self.known.add(fault.service or "")
        return fault.service

    def _wait(self, name: str, seconds: float) -> bool:
        self.waits.append(seconds)
        if self._returns:
            self.back()
            self.known.discard(name)
        return self._returns


def ledger_of(
    redis_client: Client, partitions: Partitions, outages: Outages
) -> tuple[PartitionedLedger, list[Client]]:
    clients = [redis_client] * COUNT
    made = PartitionedLedger(partitions, redis_client, clients, 1000, outages.faults)
    made.enter([Arrival(one) for one in REFS], REVISION, 1.0, 60.0)
    dead = connect("redis://127.0.0.1:1", tries=1)
    clients[AWAY] = dead
    return PartitionedLedger(partitions, redis_client, clients, 1000, outages.faults), clients


@pytest.fixture
def single(redis_url: str) -> Client:
    """A client to an empty Redis that is no cluster."""
    made = connect(redis_url)
    made.flushall()
    return made


def test_objects_of_a_partition_that_is_away_are_not_wanted(single: Client, partitions: Partitions) -> None:
    outages = Outages()
    ledger, _ = ledger_of(single, partitions, outages)
    there = [partitions.of(one.id) != AWAY for one in REFS]
    assert 0 < sum(there) < len(REFS)
    advanced = ledger.advance(REFS, REVISION, "embedding", 60.0, now=2.0)
    assert [one is not None for one in advanced] == there
    assert outages.known == {f"redis/{AWAY}"}
    assert [one != Before(b"", b"") for one in ledger.before([one.id for one in REFS])] == [False] * len(REFS)
    ledger.postpone(REFS, REVISION, 70.0, "busy", now=10.0)
    assert ledger.finish([record(one, "cat") for one in REFS], 3.0) == there
    assert ledger.in_flight() == ledger.waiting().queued == 0
    assert len(outages.waits) >= 1
    intact = PartitionedLedger(partitions, single, [single] * COUNT, 1000, PartitionFaults(COUNT))
    assert intact.in_flight() == there.count(False)
    assert {one.ref.id for one in intact.overdue(100.0, 200.0)} == {
        one.id for one, here in zip(REFS, there, strict=True) if not here
    }


def test_what_must_not_be_left_out_names_the_partition(single: Client, partitions: Partitions) -> None:
    outages = Outages()
    ledger, _ = ledger_of(single, partitions, outages)
    for change in (
        lambda: ledger.enter([Arrival(one) for one in REFS], REVISION, 2.0, 60.0),
        lambda: ledger.remove([one.id for one in REFS]),
    ):
        with pytest.raises(StoreUnavailable) as fault:
            change()
        assert fault.value.service == f"redis/{AWAY}"
    intact = PartitionedLedger(partitions, single, [single] * COUNT, 1000, PartitionFaults(COUNT))
    assert intact.in_flight() == sum(partitions.of(one.id) == AWAY for one in REFS)  # the others were removed


def test_a_short_outage_is_waited_for(single: Client, partitions: Partitions) -> None:
    outages = Outages(returns=True)
    ledger, clients = ledger_of(single, partitions, outages)
    dead = clients[AWAY]
    outages.back = lambda: setattr(dead, "connection_pool", single.connection_pool)
    assert ledger.finish([record(one, "cat") for one in REFS], 3.0) == [True] * len(REFS)
    assert len(outages.waits) == 1


def test_a_single_fault_is_raised(single: Client, partitions: Partitions) -> None:
    outages = Outages()
    outages.faults = PartitionFaults(COUNT)  # the server answers the probe
    ledger, _ = ledger_of(single, partitions, outages)
    with pytest.raises(StoreUnavailable):
        ledger.finish([record(one, "cat") for one in REFS], 3.0)


def test_what_was_claimed_is_sent_though_a_call_to_another_partition_fails(
    single: Client, partitions: Partitions
) -> None:
    outages = Outages()
    outages.faults = PartitionFaults(COUNT)  # the server answers the probe
    ledger, _ = ledger_of(single, partitions, outages)
    there = sorted(one.id for one in REFS if partitions.of(one.id) != AWAY)
    assert sorted(one.ref.id for one in ledger.overdue(100.0, 200.0, 100)) == there
    assert sorted(one.ref.id for one in ledger.overdue_by(200.0, 300.0)) == there
    with pytest.raises(StoreUnavailable):  # nothing was claimed
        ledger.overdue(100.0, 200.0, 100)


def test_a_partition_that_fails_in_a_later_round_takes_back_no_claim(single: Client, partitions: Partitions) -> None:
    ledger = PartitionedLedger(partitions, single, [single] * COUNT, 1000, PartitionFaults(COUNT))
    mine = [one for one in REFS if partitions.of(one.id) == AWAY]
    ledger.enter([Arrival(one) for one in mine], REVISION, 1.0, 60.0)
    part = ledger._parts.adapters[AWAY]
    claim, asked = part.overdue, list[int]()

    def overdue(now: float, deadline: float, limit: int = 100) -> list[Overdue]:
        asked.append(limit)
        if len(asked) > 1:
            raise StoreUnavailable("the connection was dropped")
        return claim(now, deadline, limit)

    part.overdue = overdue  # type: ignore[method-assign]  # fails once
    found = ledger.overdue(100.0, 200.0, 8)
    assert len(asked) == 2
    assert {one.ref.id for one in found} <= {one.id for one in mine}
    assert len(found) == asked[0]
