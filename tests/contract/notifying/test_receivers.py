"""Several receivers of one feed: each has its own events, position, retries, pauses and dead letters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.contract.notifying.notifier_world import World, nonzero
from tests.contract.notifying.notifier_world import world as world  # noqa: PLC0414 -- a fixture
from tests.contract.receiver import Receiver, Reply, receiving
from tests.eventually import eventually
from vectordb.errors import Permanent
from workers.notifying.receivers import InUse, Receivers, Standing
from workers.redis.connection import Client, connect
from workers.redis.keys import Keys
from workers.settings.webhook_kinds import KINDS, RESULTS


@pytest.fixture(params=["server", "cluster"])
def client(request: pytest.FixtureRequest) -> Client:
    """A client to an empty Redis, or a Redis Cluster."""
    on_cluster = request.param == "cluster"
    url = request.getfixturevalue("cluster").url if on_cluster else request.getfixturevalue("redis_url")
    made = connect(url, "{test}:")
    made.flushall()
    return made


@pytest.fixture
def keys() -> Keys:
    return Keys("{test}:")


@pytest.fixture
def other(world: World) -> Iterator[World]:
    """A second receiver of the same feed."""
    with receiving() as receiver:
        Receivers(world.client, world.keys).report([("other", "http://other", RESULTS)])  # as its process does
        yield World(world.client, world.keys, receiver, name="other")


def now_ms(world: World) -> int:
    """The time of Redis."""
    seconds, microseconds = world.client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def standing(world: World, name: str) -> Standing:
    (one,) = [one for one in Receivers(world.client, world.keys).standing() if one.name == name]
    return one


def test_a_new_receiver_begins_with_now(world: World, other: World) -> None:
    """And an old one goes on where it was, whatever was trimmed before the new one came."""
    world.finish("old.jpg")
    with world.notifier(from_beginning=False) as notifier:
        world.finish("new.jpg")
        world.work(notifier, lambda: world.receiver.taken and world.quiet())
    world.finish("between.jpg")
    world.receiver.stopped.clear()
    with other.notifier(from_beginning=False) as second:
        other.finish("newer.jpg")
        other.work(second, lambda: other.receiver.taken and other.quiet())
    world.run(lambda: len(world.receiver.taken) == 3 and world.quiet(), from_beginning=False)
    # those that waited together are sent together
    assert sorted(world.receiver.keys()) == ["between.jpg", "new.jpg", "newer.jpg"]
    assert other.receiver.keys() == ["newer.jpg"]
    assert nonzero(world.outbox.counts()) == {"delivered": 3}
    assert nonzero(other.outbox.counts()) == {"delivered": 1}


def test_from_the_beginning_is_for_new_receivers_only(world: World) -> None:
    world.finish("a.jpg", "b.jpg")
    world.run(lambda: len(world.receiver.taken) == 2 and world.quiet(), from_beginning=True)
    world.finish("c.jpg")
    world.run(lambda: len(world.receiver.taken) == 3 and world.quiet(), from_beginning=True)
    assert sorted(world.receiver.keys()) == ["a.jpg", "b.jpg", "c.jpg"]


def test_now_is_when_the_process_started(world: World) -> None:
    world.finish("before.jpg")
    (old,) = (entry for entry, _ in world.client.xrange(world.keys.feed))
    eventually(lambda: now_ms(world) > int(old.partition(b"-")[0]) + 1000)
    started = now_ms(world) - 500  # a process does not know it to the millisecond
    world.finish("while it starts.jpg")
    with ExitStack() as stack:
        notifier = stack.enter_context(world.notifier(prepared=False))
        notifier.prepare(age_ms=now_ms(world) - started)
        world.work(notifier, lambda: world.receiver.taken and world.quiet())
    assert world.receiver.keys() == ["while it starts.jpg"]


def test_one_that_fails_and_asks_for_time_holds_up_no_other(world: World, other: World) -> None:
    world.receiver.answer = lambda _: Reply(429, {"retry-after": "3600"}, b"later")
    with world.notifier(attempts=9) as failing, other.notifier() as good:
        world.finish(*"abcdef")
        world.work(failing, lambda: world.outbox.counts()["retried"])
        other.work(good, lambda: len(other.receiver.taken) == 6 and other.quiet())
        failing.step(20)
    assert nonzero(other.outbox.counts()) == {"delivered": 6}
    held = standing(world, "default")
    assert (held.waiting, held.delivered, held.last_answer) == (6, 0, "HTTP 429: later")
    assert held.failing_since is not None
    assert held.held_until is not None
    assert held.failing_since <= (held.last_at or "") < held.held_until
    assert held.waiting_bytes > 6 * 100
    fine = standing(world, "other")
    assert (fine.waiting, fine.waiting_bytes, fine.failing_since, fine.last_answer) == (0, 0, None, "HTTP 200")
    assert set(other.receiver.ids()) >= set(world.receiver.ids()), "an event has one id"


def test_each_has_its_own_dead_letters_which_are_listed_together(world: World, other: World) -> None:
    for one in (world, other):
        one.receiver.answer = lambda _: Reply(410)
    with world.notifier() as first, other.notifier() as second:
        world.finish(*"abc")
        world.work(first, lambda: world.outbox.counts()["dead"] == 3)
        other.work(second, lambda: other.outbox.counts()["dead"] == 3)
        everything = world.letters.list()
        assert [letter.receiver for letter in world.letters.list(receiver="other")] == ["other"] * 3
        pages = [world.letters.list(1)]
        while page := world.letters.list(1, pages[-1][0].id):
            pages.append(page)
        assert [letter for page in pages for letter in page] == everything
        assert len(everything) == 6
        (letter, *_) = world.letters.list(receiver="other")
        other.receiver.answer = lambda _: Reply()
        assert world.letters.replay(letter.id)
        assert not world.letters.replay(letter.id)
        other.work(second, lambda: other.receiver.taken)
    assert other.receiver.taken == [letter.delivery]
    assert len(world.letters.list()) == 5


def test_each_gets_the_events_that_it_wants(world: World, other: World) -> None:
    with world.notifier(kinds=RESULTS) as results, other.notifier(kinds=["object.removed", "object.failed"]) as some:
        world.finish("a.jpg")
        world.finish("b.jpg", state="failed")
        world.ledger.remove(["photos/a.jpg"])
        world.work(results, lambda: len(world.receiver.taken) == 2 and world.quiet())
        other.work(some, lambda: len(other.receiver.taken) == 2 and other.quiet())
    assert {request.event["type"] for request in world.receiver.seen} == {"object.done", "object.failed"}
    assert {request.event["type"] for request in other.receiver.seen} == {"object.failed", "object.removed"}
    assert world.client.xpending(world.keys.feed, "notifier:other")["pending"] == 0
    assert standing(world, "other").lost == 0


def test_a_removal_says_what_the_record_said_of_the_object(world: World) -> None:
    world.finish("a.jpg", file_name="Übung 1.jpg", client_id="c-7", metadata={"room": "3"})
    world.finish("b.jpg")
    world.ledger.remove(["photos/a.jpg", "photos/b.jpg"])
    of_older_version = {"oid": "photos/old.jpg", "state": "removed", "body": ""}
    world.client.xadd(world.keys.feed, of_older_version)
    world.run(lambda: len(world.receiver.taken) == 3 and world.quiet(), kinds=["object.removed"])
    events = {request.event["data"]["key"]: request.event for request in world.receiver.seen}
    assert {event["type"] for event in events.values()} == {"object.removed"}
    assert events["a.jpg"]["data"] == {
        "bucket": "photos", "key": "a.jpg", "state": "removed", "etag": "e", "file_name": "Übung 1.jpg",
        "client_id": "c-7", "metadata": {"room": "3"},
    }  # fmt: skip
    assert events["b.jpg"]["data"] == {"bucket": "photos", "key": "b.jpg", "state": "removed", "etag": "e"}
    assert events["old.jpg"]["data"] == {"bucket": "photos", "key": "old.jpg", "state": "removed"}


def test_a_finished_batch_is_delivered_under_its_own_id(world: World) -> None:
    body = json.dumps({"id": "5f", "counts": {"done": 1}})
    with world.notifier(kinds=KINDS) as notifier:
        for _ in range(2):  # reported twice, which no gateway does
            world.client.xadd(world.keys.batches_finished, {"batch": "5f", "body": body})
        world.work(notifier, lambda: world.receiver.taken and world.quiet())
    assert set(world.receiver.ids()) == {"msg_batch_5f"}
    assert world.receiver.seen[0].event["type"] == "batch.finished"
    assert world.receiver.seen[0].event["data"] == json.loads(body)


def test_what_the_feed_forgot_is_counted_for_the_receiver_that_missed_it(world: World, other: World) -> None:
    with world.notifier(from_beginning=False) as notifier, other.notifier(from_beginning=False) as late:
        world.finish(*"abcde")
        world.work(notifier, lambda: len(world.receiver.taken) == 5 and world.quiet())
        world.client.xtrim(world.keys.feed, maxlen=2, approximate=False)
        other.work(late, lambda: len(other.receiver.taken) == 2 and other.quiet())
    assert standing(world, "default").lost == 0
    assert standing(world, "other").lost == (1 if world.older_than_7() else 3)


def test_too_many_bytes_wait_as_too_many_deliveries(world: World) -> None:
    world.receiver.answer = lambda _: Reply(500)
    with world.notifier(wait=600.0, waiting_bytes=500) as notifier:
        world.finish("a", "b")
        world.work(notifier, lambda: world.outbox.counts()["retried"] == 2)
        world.finish("c")
        notifier.step(20)
        notifier.step(20)
    load = world.outbox.load()
    assert load.waiting == 2
    assert 500 < load.size == sum(len(one) for one in world.client.hvals(world.keys.notify("waiting")))


def test_a_paused_receiver_is_sent_nothing_and_loses_nothing(world: World, other: World) -> None:
    receivers = Receivers(world.client, world.keys)
    with world.notifier() as notifier, other.notifier() as second:
        receivers.report([("default", "http://x", RESULTS), ("other", "http://y", RESULTS)])
        receivers.pause("default")
        world.finish("a", "b")
        other.work(second, lambda: len(other.receiver.taken) == 2)
        world.work(notifier, lambda: world.outbox.waiting() == 2)
        notifier.step(20)
        assert world.receiver.seen == []
        assert standing(world, "default").paused_since is not None
        assert receivers.resume("default")
        assert not receivers.resume("default")
        world.work(notifier, lambda: len(world.receiver.taken) == 2 and world.quiet())
    with pytest.raises(Permanent, match="no receiver 'nobody'; there are default, other"):
        receivers.pause("nobody")


def test_what_is_left_of_a_receiver_is_named_and_forgotten_only_when_nobody_serves_it(world: World) -> None:
    receivers = Receivers(world.client, world.keys)
    world.receiver.answer = lambda _: Reply(500)
    with world.notifier(wait=600.0) as notifier:
        world.finish("a")
        world.work(notifier, lambda: world.outbox.counts()["retried"])
        served = [("default", "http://x", RESULTS)]
        receivers.report(served)
        assert standing(world, "default").served
        with pytest.raises(InUse, match="a notifier runs for default"):
            receivers.forget("default")
    receivers.report(served, stopped=True)
    assert not standing(world, "default").served
    assert receivers.forget("default") == 1
    assert receivers.names() == []
    assert world.client.xinfo_groups(world.keys.feed) == []
    left = [key for key in world.client.keys(f"{world.keys.prefix}notify:*") if world.client.exists(key)]
    assert left == []


def test_the_receiver_of_an_older_version_is_known_and_renamed_where_it_was(world: World, receiver: Receiver) -> None:
    """Its keys are those of before there were several, and no notifier has noted it."""
    receivers = Receivers(world.client, world.keys)
    world.receiver.answer = lambda _: Reply(500)
    world.finish("a", "b")
    with world.notifier(wait=600.0) as notifier:
        world.work(notifier, lambda: world.outbox.counts()["retried"] == 2)
        world.client.xreadgroup("notifier", "killed", {world.keys.feed: ">"})
    world.finish("c")
    world.client.xreadgroup("notifier", "killed", {world.keys.feed: ">"})  # read, and not queued
    world.finish("d")
    assert receivers.names() == ["default"]
    receivers.rename("default", "shop")
    assert receivers.names() == ["shop"]
    with pytest.raises(Permanent):
        receivers.rename("default", "shop2")
    receiver.answer = lambda _: Reply()
    shop = World(world.client, world.keys, receiver, name="shop")
    receiver.taken.clear()
    waiting = shop.client.hkeys(shop.keys.notify("waiting", "shop"))
    shop.client.zadd(shop.keys.notify("due", "shop"), dict.fromkeys(waiting, 0))
    receiver.stopped.clear()
    shop.run(lambda: len(receiver.taken) == 4 and shop.quiet(), from_beginning=False)
    assert sorted(set(receiver.keys())) == ["a", "b", "c", "d"]
    with pytest.raises(Permanent, match="not a name"):
        receivers.rename("shop", "A b")


def test_names_of_receivers_do_not_meet() -> None:
    keys = Keys("test:")
    parts = ("waiting", "due", "dead", "counts", "receivers", "paused")
    assert len({keys.notify(part, name) for part in parts for name in ("default", "x", *parts)}) == 6 * 8
