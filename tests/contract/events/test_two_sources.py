"""Two sources report one bucket: a repeated event costs nothing, and the bucket decides."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.segmenting_world import World
from tests.unit.segmentation.world import BLUE, RED, halves
from vectordb.errors import Transient
from workers.dispatch.event_filter import IGNORED, KEPT, REPEATED, EventFilter
from workers.events.notification import padded
from workers.events.sink import EventSink
from workers.lifecycle.event import ObjectEvent
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.settings.settings import Settings
from workers.stores.store import ObjectInfo

KEYS = ("a.png", "b.png")
COLOURS = {"red": halves(RED, BLUE), "blue": halves(BLUE, RED)}


@dataclass
class Counting:
    """The store, with how often it was asked."""

    store: Any
    asked: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def stat(self, bucket: str, key: str) -> ObjectInfo | None:
        self.asked += 1
        found: ObjectInfo | None = self.store.stat(bucket, key)
        return found

    def get(self, *arguments: Any, **named: Any) -> Any:
        self.asked += 1
        return self.store.get(*arguments, **named)


class Away:
    """A broker that cannot be reached."""

    def send(self, *_: Any) -> None:
        raise Transient("the broker is away")


class Bucket:
    """A bucket whose server reports every change in order, and a world that gets events when a test sends them."""

    def __init__(self, redis_url: str, home: Path) -> None:
        (home / "inbox").mkdir()
        self.world = World(Settings.model_validate({
            "redis_url": redis_url, "key_prefix": "test:", "home": home, "qdrant_url": "http://127.0.0.1:1",
            "hold_removals": False,
        }))  # fmt: skip
        self.store = Counting(self.world.wiring.store)
        self.world.wiring.store = self.world.wiring.artifacts._store = self.store
        self.world.dispatcher._store = self.store
        self.time = 0x18A5C0FFEE123456

    def put(self, key: str, colour: str = "red") -> ObjectEvent:
        """Gives the event, which nobody has heard yet."""
        self.world.put(key, COLOURS[colour])
        info = self.world.wiring.store.store.stat("inbox", key)
        self.world.wiring.redis.delete("test:inbox")  # the events that the world itself sends
        self.world.wiring.inbox.prepare()
        self.time += 1
        return ObjectEvent("created", "inbox", key, info.ref.etag, info.ref.size, None, padded(f"{self.time:X}"))

    def remove(self, key: str) -> ObjectEvent:
        self.world.wiring.store.store.remove("inbox", key)
        return self.removal(key)

    def removal(self, key: str) -> ObjectEvent:
        """The event of a removal."""
        self.time += 1
        return ObjectEvent("removed", "inbox", key, sequence=padded(f"{self.time:X}"))

    def handle(self, *events: ObjectEvent) -> None:
        """Events arrive and are dealt with, and so is all that they lead to."""
        self.world.wiring.inbox.append(events)
        self.world.settle()

    def count(self, name: str) -> int:
        return int(self.world.wiring.event_sink.counts().get(name, 0))

    def feed(self) -> list[tuple[str, str]]:
        """The events of each object, in order."""
        items = self.world.wiring.records.feed_page("0-0", 1000)
        return [(item.oid, item.record.state if item.record else "removed") for item in items]


@pytest.fixture
def bucket(redis_url: str, client: Client, tmp_path: Path) -> Bucket:  # noqa: ARG001 -- empties the Redis
    return Bucket(redis_url, tmp_path)


def test_the_second_event_costs_nothing(bucket: Bucket) -> None:
    event = bucket.put("a.png")
    bucket.handle(event)
    assert bucket.feed() == [("inbox/a.png", "done")]
    asked, sent = bucket.store.asked, len(bucket.world.queues.sent)
    bucket.handle(event)  # three seconds later, say
    bucket.handle(event)
    assert (bucket.store.asked, len(bucket.world.queues.sent)) == (asked, sent)
    assert bucket.feed() == [("inbox/a.png", "done")]
    assert bucket.count(REPEATED) == 2


def test_while_the_first_is_on_its_way(bucket: Bucket) -> None:
    event = bucket.put("a.png")
    bucket.world.wiring.inbox.append([event, event])
    bucket.world.dispatcher.step(1)
    bucket.world.wiring.inbox.append([event])
    bucket.world.dispatcher.step(1)
    assert len(bucket.world.queues.sent) == 1
    assert bucket.count(REPEATED) == 2
    bucket.world.settle()
    assert bucket.feed() == [("inbox/a.png", "done")]


def test_after_the_captions_were_switched(bucket: Bucket) -> None:
    """A late second event is no reason to tag what is tagged with other captions."""
    event = bucket.put("a.png")
    bucket.handle(event)
    bucket.world.version = "captions@2"
    bucket.handle(event)
    assert bucket.feed() == [("inbox/a.png", "done")]


def test_when_it_was_overwritten_or_removed_in_between(bucket: Bucket) -> None:
    first, second = bucket.put("a.png"), bucket.put("a.png", "blue")
    bucket.handle(second)
    asked = bucket.store.asked
    bucket.handle(first, second, first)
    assert bucket.store.asked == asked
    assert bucket.feed() == [("inbox/a.png", "done")]
    removal = bucket.remove("a.png")
    bucket.handle(removal)
    asked = bucket.store.asked
    bucket.handle(second, removal)  # as the slow source sends it, after everything is over
    assert bucket.store.asked == asked
    assert bucket.feed() == [("inbox/a.png", "done"), ("inbox/a.png", "removed")]
    bucket.handle(bucket.put("a.png", "blue"))  # the same bytes again are news
    assert bucket.feed()[2:] == [("inbox/a.png", "done")]


def test_what_has_no_order_is_looked_up_each_time(bucket: Bucket) -> None:
    put = bucket.put("a.png")
    event = ObjectEvent("created", put.bucket, put.key, size=put.size)
    bucket.handle(event)
    asked = bucket.store.asked
    bucket.handle(event)
    assert bucket.store.asked == asked + 1
    assert bucket.feed() == [("inbox/a.png", "done")]


def test_versions_of_one_key_are_not_taken_for_each_other(bucket: Bucket) -> None:
    events = [
        ObjectEvent("removed", "inbox", "a.png", version_id=version, sequence=padded(sequence))
        for version in ("v1", "v2") for sequence in ("18A5", "18A6")
    ]  # fmt: skip
    bucket.handle(*events)
    assert bucket.count(REPEATED) == 0
    bucket.handle(*events)
    assert bucket.count(REPEATED) == 4


def test_an_event_that_was_read_and_not_finished_is_not_repeated(bucket: Bucket) -> None:
    """The process ended before the batch was sent: the same event, read again, must be sent."""
    event = bucket.put("a.png")
    bucket.world.wiring.inbox.append([event])
    bucket.world.dispatcher._publisher = Away()
    with pytest.raises(Transient):
        bucket.world.dispatcher.step(1)
    bucket.world.dispatcher._publisher = bucket.world.queues
    bucket.world.dispatcher.recover(0)
    bucket.world.settle()
    assert bucket.feed() == [("inbox/a.png", "done")]


def test_only_what_was_told_before_is_counted_as_repeated(bucket: Bucket) -> None:
    bucket.handle(bucket.put("a.png"))
    bucket.handle(bucket.put("a.png"))  # the same bytes, uploaded once more
    assert bucket.count(REPEATED) == 0


def test_what_is_dealt_with_after_a_fault_is_counted_once(bucket: Bucket) -> None:
    event = bucket.put("a.png")
    bucket.world.wiring.inbox.append([event, event, bucket.removal("folder/")])
    bucket.world.dispatcher._publisher = Away()
    for _ in range(3):
        with pytest.raises(Transient):
            bucket.world.dispatcher.step(1)
    assert (bucket.count(REPEATED), bucket.count(IGNORED)) == (0, 0)
    bucket.world.dispatcher._publisher = bucket.world.queues
    bucket.world.dispatcher.step(1)
    assert (bucket.count(REPEATED), bucket.count(IGNORED)) == (1, 1)
    assert len(bucket.world.queues.sent) == 1


def test_a_repeated_event_that_was_left_sends_nothing(bucket: Bucket) -> None:
    event = bucket.put("a.png")
    bucket.world.wiring.inbox.append([event])
    bucket.world.dispatcher.step(1)
    bucket.world.wiring.inbox.append([event])
    bucket.world.wiring.inbox.read("another", 10, None)  # and is killed
    bucket.world.dispatcher.recover(0)
    assert len(bucket.world.queues.sent) == 1
    assert bucket.count(REPEATED) == 1
    assert bucket.world.wiring.inbox.length() == 0


def test_the_removal_of_a_folder_marker_is_left_alone(bucket: Bucket) -> None:
    bucket.handle(bucket.removal("folder/"))
    assert bucket.store.asked == 0
    assert (bucket.count(IGNORED), bucket.feed()) == (1, [])


def test_the_memory_has_an_end(client: Client, keys: Keys) -> None:
    events = EventFilter(client, keys, EventSink(client, keys), lambda: 1.0)
    for start in range(0, KEPT + 2000, 2000):
        events.mark_processed(
            [
                (str(n), ObjectEvent("removed", "inbox", f"{n}.png", sequence="18a5"))
                for n in range(start, start + 2000)
            ]
        )
    assert client.zcard(keys.recent_events) == KEPT
    assert (client.memory_usage(keys.recent_events) or 0) < 5 * 2**20


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["red", "blue", "remove"]), st.sampled_from(KEYS), st.booleans()), max_size=14
)


@pytest.mark.long
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OPERATIONS, st.randoms(use_true_random=False), st.booleans())
def test_two_sources_in_any_order_end_in_the_state_of_the_bucket(
    redis_url: str, client: Client, happens: list[tuple[str, str, bool]], random: Any, shuffled: bool
) -> None:
    """``shuffled``: the slow source sends in any order, as several servers of one cluster may."""
    client.flushall()
    with tempfile.TemporaryDirectory() as home:
        bucket = Bucket(redis_url, Path(home))
        slow: list[ObjectEvent] = []
        for operation, key, at_once in happens:
            if operation != "remove":
                slow.append(bucket.put(key, operation))
            elif bucket.world.wiring.store.store.stat("inbox", key) is None:
                continue
            else:
                slow.append(bucket.remove(key))
            if at_once:  # the fast source was there, and all is done before the next change
                bucket.handle(slow[-1])
            elif random.random() < 0.5:
                bucket.world.wiring.inbox.append([slow[-1]])
        if shuffled:
            random.shuffle(slow)
        for event in slow:
            bucket.handle(event)
            assert all(state != "failed" for _, state in bucket.feed())
        found = {record.key: record.etag for record in bucket.world.wiring.records.latest()}
        there = {info.ref.key: info.ref.etag for info in bucket.world.wiring.store.store.list("inbox")}
        assert found == there
        assert bucket.world.wiring.ledger.in_flight() == 0
