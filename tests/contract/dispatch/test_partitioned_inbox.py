"""The inboxes of several partitions are read as one, fairly, and go on without a partition that is away."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from tests.eventually import eventually
from vectordb.errors import Transient
from workers.dispatch.feed_relay import FeedRelay
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.held_events import HeldEvents
from workers.lifecycle.inbox import Inbox, LowPriorityInbox
from workers.lifecycle.partitioned_inbox import InboxSignal, PartitionedInbox
from workers.processes.partition_watch import PartitionWatch
from workers.redis.connection import Client, StoreUnavailable
from workers.redis.keys import Keys
from workers.redis.partition_faults import PartitionFaults, service_of
from workers.redis.partitions import Partitions

COUNT = 4


class Away:
    """Which partitions are away, as an outage tracker knows it. Their inboxes cannot be reached."""

    def __init__(self) -> None:
        self.services: set[str] = set()
        self.known: set[str] = set()
        self.faults = PartitionFaults(COUNT, self.known.__contains__, self.register)

    def register(self, fault: Transient) -> str | None:
        self.known.add(fault.service or "")
        return fault.service

    def begin(self, partition: int) -> None:
        self.services.add(service_of(partition))

    def end(self) -> None:
        self.services.clear()
        self.known.clear()


class Part(Inbox):
    """An inbox that cannot be reached while its partition is away."""

    def __init__(self, client: Client, keys: Keys, partition: int, away: Away) -> None:
        super().__init__(client, keys.inbox)
        self._service, self._away = service_of(partition), away

    def append(self, events: Sequence[ObjectEvent], *, mark: bool = False) -> None:
        self._look()
        super().append(events, mark=mark)

    def read(self, consumer: str, count: int, block_ms: int | None) -> list[tuple[str, ObjectEvent]]:
        self._look()
        return super().read(consumer, count, block_ms)

    def _look(self) -> None:
        if self._service in self._away.services:
            raise StoreUnavailable("killed")


@pytest.fixture
def partitions() -> Partitions:
    return Partitions(Keys("{test}:"), COUNT)


@pytest.fixture
def away() -> Away:
    return Away()


@pytest.fixture
def inbox(client: Client, partitions: Partitions, away: Away) -> PartitionedInbox:
    parts = [Part(client, keys, n, away) for n, keys in enumerate(partitions.all)]
    made = PartitionedInbox(partitions, parts, Inbox(client, partitions.base.inbox), away.faults)
    made.prepare()
    return made


@pytest.fixture
def held(client: Client, partitions: Partitions, inbox: PartitionedInbox, away: Away) -> HeldEvents:
    return HeldEvents(client, partitions.base.inbox, inbox, partitions, away.faults)


def events(count: int) -> list[ObjectEvent]:
    return [ObjectEvent("created", "b", f"{n}.jpg", f"etag-{n}") for n in range(count)]


def taken(inbox: PartitionedInbox, count: int = 1000) -> list[ObjectEvent]:
    found = inbox.read("me", count, None)
    inbox.done([entry for entry, _ in found])
    return [event for _, event in found]


def test_events_are_in_the_partition_of_their_object(
    client: Client, partitions: Partitions, inbox: PartitionedInbox
) -> None:
    inbox.append(events(100))
    expected = Counter(partitions.of(event.id) for event in events(100))
    assert {n: client.xlen(keys.inbox) for n, keys in enumerate(partitions.all)} == dict(expected)
    assert client.xlen(partitions.base.inbox) == 0
    assert inbox.length() == 100
    assert sorted(event.key for event in taken(inbox)) == sorted(event.key for event in events(100))
    assert inbox.length() == 0


def test_a_busy_partition_does_not_delay_the_others(partitions: Partitions, inbox: PartitionedInbox) -> None:
    busy = [event for event in events(4000) if partitions.of(event.id) == 0]
    inbox.append(busy)
    inbox.append(events(20))
    first = inbox.read("me", 40, None)
    assert len(first) == 40
    others = [event for event in events(20) if partitions.of(event.id) != 0]
    assert {event.id for event in others} <= {event.id for _, event in first}


def test_fewer_places_than_partitions_are_given_in_turn(partitions: Partitions, inbox: PartitionedInbox) -> None:
    inbox.append(events(200))
    found = [partitions.of(event.id) for _ in range(2 * COUNT) for _, event in inbox.read("me", 1, None)]
    assert Counter(found) == dict.fromkeys(range(COUNT), 2)


def test_what_was_not_finished_is_read_again_from_each_part(inbox: PartitionedInbox) -> None:
    inbox.append(events(30))
    read = inbox.read("me", 30, None)
    inbox.done([entry for entry, _ in read[:10]])
    again = [one for part in inbox.parts for one in part.again("me", 100, "0")]
    assert sorted(again) == sorted(read[10:])
    parts = inbox.parts_of([entry for entry, _ in again])
    assert parts == {part for part in inbox.parts if part.again("me", 100, "0")}
    for part in inbox.parts:
        part.finish([entry for entry, _ in part.recover("another", 0, 100)])
    assert inbox.length() == 0


def test_events_of_a_partition_that_is_away_wait_for_it(
    client: Client, partitions: Partitions, inbox: PartitionedInbox, held: HeldEvents, away: Away
) -> None:
    away.begin(2)
    inbox.append(events(100))
    theirs = [event for event in events(100) if partitions.of(event.id) == 2]
    assert client.xlen(partitions.base.inbox) == len(theirs)
    assert {event.id for event in taken(inbox)} == {event.id for event in events(100)} - {one.id for one in theirs}
    assert held.step() == 0
    away.end()
    assert held.step() == len(theirs)
    assert client.xlen(partitions.base.inbox) == 0
    found = taken(inbox)
    assert [event.key for event in found] == [event.key for event in theirs]
    assert {event.etag for event in found} == {""}  # the store says which version there is now


def test_events_of_a_partition_that_stays_away_are_read_once(
    client: Client, partitions: Partitions, inbox: PartitionedInbox, held: HeldEvents, away: Away
) -> None:
    """There may be hundreds of thousands, and the dispatcher looks twice a second."""
    away.begin(2)
    inbox.append(events(100))
    assert held.step() == 0
    pages: list[int] = []

    def xrange(*given: Any, **options: Any) -> Any:
        page: Any = client.xrange(*given, **options)
        pages.append(len(page))
        return page

    held._redis = SimpleNamespace(xrange=xrange, xdel=client.xdel)
    assert held.step() == held.step() == 0
    assert pages == [0, 0]
    away.begin(3)
    inbox.append(events(200))  # others join them
    assert held.step() == 0
    taken(inbox)
    away.services.discard(service_of(3))
    away.known.discard(service_of(3))  # one comes back
    mine = [event for event in events(200) if partitions.of(event.id) == 3]
    assert held.step() == len(mine)
    away.end()
    assert held.step() == len([event for event in (*events(100), *events(200)) if partitions.of(event.id) == 2])
    assert client.xlen(partitions.base.inbox) == 0


def test_a_partition_that_goes_away_does_not_stop_the_others(
    partitions: Partitions, inbox: PartitionedInbox, away: Away
) -> None:
    inbox.append(events(100))
    away.begin(1)
    rest = {event.id for event in events(100) if partitions.of(event.id) != 1}
    assert {event.id for event in taken(inbox)} == rest
    away.end()
    assert {event.id for event in taken(inbox)} == {event.id for event in events(100)} - rest


def test_low_priority_events_of_an_object_are_added_once(client: Client, partitions: Partitions) -> None:
    inbox = PartitionedInbox(
        partitions, [LowPriorityInbox(client, keys) for keys in partitions.all],
        Inbox(client, partitions.base.low_priority_inbox),
    )  # fmt: skip
    inbox.prepare()
    forced = [ObjectEvent("created", "b", f"{n}.jpg", force=True) for n in range(20)]
    inbox.append(forced)
    inbox.append(forced)
    assert inbox.length() == 20


def test_a_watch_ends_the_wait_and_relays(client: Client, partitions: Partitions, inbox: PartitionedInbox) -> None:
    inbox.signal, stop = InboxSignal(), threading.Event()

    def watch(n: int, keys: Keys) -> None:
        relay = FeedRelay(client, partitions.base, client, keys, n, 1000)
        one = PartitionWatch(client, keys, n, relay, inbox.signal)  # type: ignore[arg-type]  # set above
        while not stop.is_set():
            one.step(block_ms=200)

    threads = [threading.Thread(target=watch, args=(n, keys)) for n, keys in enumerate(partitions.all)]
    for thread in threads:
        thread.start()
    assert inbox.read("me", 10, 1) == []
    began = time.monotonic()
    threading.Timer(0.2, lambda: inbox.append(events(1))).start()
    assert [event.key for _, event in inbox.read("me", 10, 30_000)] == ["0.jpg"]
    assert time.monotonic() - began < 10
    client.xadd(partitions.keys(3).feed, {"oid": "b/x", "state": "done", "body": ""})
    eventually(lambda: client.xlen(partitions.base.feed), 10)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert client.xlen(partitions.base.feed) == 1
