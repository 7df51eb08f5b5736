"""The feeds of partitions are relayed into the one feed for clients: complete, once, and in order for each object."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from tasks.message_parts import ObjectRef, Revision
from tests.contract.partitioned import COUNT, ledger_of
from workers.dispatch import feed_relay
from workers.dispatch.feed_relay import PAGE, FeedRelay
from workers.lifecycle.ledger import Arrival
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import Records
from workers.redis.connection import Client, StoreUnavailable, connect
from workers.redis.keys import Keys
from workers.redis.partitions import Partitions

LENGTH = 100_000


@pytest.fixture
def partitions() -> Partitions:
    return Partitions(Keys("{test}:"), COUNT)


def relays(client: Client, partitions: Partitions) -> list[FeedRelay]:
    return [FeedRelay(client, partitions.base, client, keys, n, LENGTH) for n, keys in enumerate(partitions.all)]


def finish(client: Any, partitions: Partitions, oid: str, body: str) -> bytes:
    """What a script of the object's partition does."""
    entry = {"oid": oid, "state": "done", "body": body}
    return bytes(client.xadd(partitions.keys(partitions.of(oid)).feed, entry))


def feed(client: Any, partitions: Partitions) -> list[tuple[str, str]]:
    return [(fields[b"oid"].decode(), fields[b"body"].decode()) for _, fields in client.xrange(partitions.base.feed)]


def relayed(all_: Sequence[FeedRelay]) -> int:
    """Relay until nothing is left."""
    return sum(count for one in all_ for count in iter(one.step, 0))


def test_entries_of_all_partitions_come_once_and_in_order(client: Client, partitions: Partitions) -> None:
    told = [(f"b/{n % 20}", str(n)) for n in range(3 * PAGE)]
    for oid, body in told:
        finish(client, partitions, oid, body)
    ours = relays(client, partitions)
    assert relayed(ours) == len(told)
    assert relayed(ours) == 0
    found = feed(client, partitions)
    assert sorted(found) == sorted(told)
    for oid in {oid for oid, _ in told}:
        assert [body for other, body in found if other == oid] == [body for other, body in told if other == oid]


def test_what_is_known_of_a_removed_object_is_relayed(client: Any, partitions: Partitions) -> None:
    """And an entry of an older version, which has nothing of it."""
    ledger = ledger_of(client, partitions.base, LENGTH)
    ref = ObjectRef("b", "1", "e")
    record = Record(
        bucket="b", key="1", etag="e", state="done", space_id="s", captions_version="c", file_name="x.jpg"
    )
    ledger.enter([Arrival(ref)], Revision("s", "c"), 1.0, 9.0)
    assert ledger.finish([record], 2.0) == [True]
    assert ledger.remove(["b/1"]) == [True]
    client.xadd(partitions.all[0].feed, {"oid": "b/2", "state": "removed", "body": ""})
    relayed(relays(client, partitions))
    gone = [item.removed for item in Records(client, partitions.base).feed_page("0", 9) if item.record is None]
    assert sorted(gone, key=lambda one: str(one["key"])) == [
        {"bucket": "b", "key": "1", "state": "removed", "etag": "e", "file_name": "x.jpg"},
        {"bucket": "b", "key": "2", "state": "removed"},
    ]


def test_a_relay_goes_on_where_another_ended(client: Client, partitions: Partitions) -> None:
    finish(client, partitions, "b/1", "1")
    relayed(relays(client, partitions))
    finish(client, partitions, "b/1", "2")
    assert relayed(relays(client, partitions)) == 1
    assert feed(client, partitions) == [("b/1", "1"), ("b/1", "2")]


def test_a_repeated_relay_appends_nothing(client: Any, partitions: Partitions) -> None:
    """The answer of the script was lost, or another relay was faster."""
    first, second = relays(client, partitions), relays(client, partitions)
    finish(client, partitions, "b/1", "1")
    for both in (first, second):
        for one in both:
            one.position()
    found = [[client.xrange(one.source) for one in both] for both in (first, second)]
    for both, pages in zip((first, second), found, strict=True):
        for one, page in zip(both, pages, strict=True):
            one.append(page)
    assert feed(client, partitions) == [("b/1", "1")]
    finish(client, partitions, "b/1", "2")
    relayed(second)
    assert feed(client, partitions) == [("b/1", "1"), ("b/1", "2")]


def test_relays_at_the_same_time_append_each_entry_once(client: Client, partitions: Partitions) -> None:
    stop, count = threading.Event(), 600

    def relay(all_: Sequence[FeedRelay]) -> None:
        while not stop.is_set():
            for one in all_:
                one.step()

    threads = [threading.Thread(target=relay, args=(relays(client, partitions),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(count):
        finish(client, partitions, f"b/{n % 7}", str(n))
    stop.set()
    for thread in threads:
        thread.join(10)
    relayed(relays(client, partitions))
    found = feed(client, partitions)
    assert sorted(int(body) for _, body in found) == list(range(count))
    for oid in {oid for oid, _ in found}:
        bodies = [int(body) for other, body in found if other == oid]
        assert bodies == sorted(bodies)


def test_a_relay_that_is_killed_before_the_script_leaves_everything(client: Client, partitions: Partitions) -> None:
    finish(client, partitions, "b/1", "1")
    partition = partitions.of("b/1")
    killed = relays(client, partitions)[partition]
    client.xrange(killed.source)  # read, and no more
    assert relayed(relays(client, partitions)) == 1
    assert feed(client, partitions) == [("b/1", "1")]


def test_the_feed_of_a_partition_is_trimmed_once_it_was_relayed(
    client: Client, partitions: Partitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_relay, "TRIM_EVERY_S", 0.0)
    oid = "b/1"
    source = partitions.keys(partitions.of(oid)).feed
    for n in range(300):  # whole nodes of the stream are removed
        client.xadd(source, {"oid": oid, "state": "done", "body": str(n)}, id=f"{n + 1}-0")
    client.xadd(source, {"oid": oid, "state": "done", "body": "last"})
    relayed(relays(client, partitions))
    assert client.xlen(source) < 300
    assert len(feed(client, partitions)) == 301


def test_a_feed_that_went_back_is_relayed_again(client: Client, partitions: Partitions) -> None:
    """Its replica had not received the last entries, and its clock is behind: nothing new may be left out."""
    oid = "b/1"
    partition = partitions.of(oid)
    source = partitions.keys(partition).feed
    client.xadd(source, {"oid": oid, "state": "done", "body": "lost"}, id="5000-0")
    relayed(relays(client, partitions))
    client.delete(source)
    client.xadd(source, {"oid": oid, "state": "done", "body": "new"}, id="4000-0")
    assert relayed(relays(client, partitions)) == 1
    assert [body for _, body in feed(client, partitions)] == ["lost", "new"]


def test_a_partition_that_cannot_be_read_is_named(client: Client, partitions: Partitions) -> None:
    away = connect("redis://127.0.0.1:1", tries=1)
    relay = FeedRelay(client, partitions.base, away, partitions.keys(2), 2, LENGTH)
    with pytest.raises(StoreUnavailable) as fault:
        relay.step()
    assert fault.value.service == "redis/2"
