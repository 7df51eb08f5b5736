"""What sources store with several partitions: events in that of their object, counts under the prefix."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from workers.dispatch.event_filter import EventFilter
from workers.events.sink import EventSink, ReceivedEvents
from workers.gateway.batching_writer import BatchingWriter
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.partitioned_inbox import PartitionedInbox
from workers.redis.connection import Client, connect_async
from workers.redis.keys import Keys
from workers.redis.partitions import Partitions

COUNT = 3


@pytest.fixture
def partitions() -> Partitions:
    return Partitions(Keys("{test}:"), COUNT)


@pytest.fixture
def inbox(client: Client, partitions: Partitions) -> PartitionedInbox:
    parts = [Inbox(client, keys.inbox) for keys in partitions.all]
    made = PartitionedInbox(partitions, parts, Inbox(client, partitions.base.inbox))
    made.prepare()
    return made


def received(first: int, count: int) -> ReceivedEvents:
    events = tuple(ObjectEvent("created", "b", f"{n}.jpg", "e") for n in range(first, first + count))
    return ReceivedEvents(events, {"webhook:events": count}, source="webhook")


def assert_spread(client: Any, partitions: Partitions, count: int) -> None:
    expected = Counter(partitions.of(f"b/{n}.jpg") for n in range(count))
    assert {n: client.xlen(keys.inbox) for n, keys in enumerate(partitions.all)} == dict(expected)
    assert client.xlen(partitions.base.inbox) == 0
    assert client.hgetall(partitions.base.event_counts) == {b"webhook:events": str(count).encode()}


def test_a_source_stores_events_in_their_partitions(
    client: Client, partitions: Partitions, inbox: PartitionedInbox
) -> None:
    EventSink(client, partitions.base, inbox.append).store([received(0, 10), received(10, 20)])
    assert_spread(client, partitions, 30)


def test_a_webhook_stores_events_in_their_partitions(
    client: Client, partitions: Partitions, inbox: PartitionedInbox, redis_url: str
) -> None:
    async def put() -> None:
        writer = BatchingWriter(connect_async(redis_url), partitions.base, inbox.append)
        await asyncio.gather(*(writer.put(received(10 * n, 10), 100) for n in range(4)))
        await writer.close()

    asyncio.run(put())
    assert_spread(client, partitions, 40)


def test_removals_of_folder_markers_are_recognised(
    client: Client, partitions: Partitions, inbox: PartitionedInbox
) -> None:
    """Whether an object with such a key is known, the records of its partition say."""
    known = {"b/known/"}
    asked: list[list[str]] = []

    def etags(oids: Any) -> list[tuple[str, str]]:
        asked.append(list(oids))
        return [("etag", "") if oid in known else ("", "") for oid in oids]

    sink = EventSink(client, partitions.base, inbox.append)
    events = EventFilter(client, partitions.base, sink, lambda: 1000.0, etags)
    inbox.append([ObjectEvent("removed", "b", key) for key in ("known/", "folder/", "a.jpg")])
    found, _ = events.new(inbox.read("me", 10, None))
    assert sorted(event.key for _, event in found) == ["a.jpg", "known/"]
    assert sorted(asked[0]) == ["b/folder/", "b/known/"]
