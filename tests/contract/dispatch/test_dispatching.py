"""Inbox, dispatcher and keeper over a real Redis and a real folder; only the queues are recorded, not run."""

from __future__ import annotations

import io
import time

import pytest

from tasks.message_parts import ObjectRef, UserMetadata
from tests.contract.dispatch.dispatching_world import REVISION, World, created
from tests.contract.dispatch.dispatching_world import world as world  # noqa: PLC0414 -- a fixture
from vectordb.errors import Transient
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.ledger import Arrival
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.stores.lookup import SILENCES, THREADS
from workers.stores.store import ObjectForbidden, ObjectInfo, StoreAway


def test_events_become_batches(world: World) -> None:
    refs = [world.put(f"{i}.jpg") for i in range(5)]
    world.inbox.append([created(ref) for ref in refs])
    assert world.dispatcher().step(block_ms=10) == 5
    assert world.queues.sent == [["0.jpg", "1.jpg", "2.jpg"], ["3.jpg", "4.jpg"]]
    assert world.ledger.in_flight() == 5
    assert world.records.counts()["inbox"] == 0


def test_repeated_and_contradicting_events(world: World) -> None:
    old, gone = world.put("a.jpg"), world.put("gone.jpg")
    new = world.put("a.jpg", b"newer")
    world.store.remove("inbox", "gone.jpg")
    world.inbox.append([
        created(old), created(new), created(new), created(gone), ObjectEvent("removed", "inbox", "gone.jpg"),
        ObjectEvent("removed", "inbox", "a.jpg"), ObjectEvent("created", "inbox", "never.jpg"),
    ])  # fmt: skip
    world.dispatcher(batch_max=7).step(block_ms=10)
    assert world.queues.sent == [["a.jpg"]]
    world.finish(new)
    world.inbox.append([created(new)])
    world.dispatcher().step(block_ms=10)
    assert len(world.queues.sent) == 1


def test_a_broker_that_is_away_loses_nothing(world: World) -> None:
    world.inbox.append([created(world.put("a.jpg"))])
    world.queues.away = True
    with pytest.raises(Transient):
        world.dispatcher().step(block_ms=10)
    world.queues.away = False
    assert world.dispatcher().recover(idle_ms=0) == 1
    assert world.queues.sent == [["a.jpg"]]
    assert world.dispatcher().recover(idle_ms=0) == 0


def test_no_more_is_sent_than_may_be_in_flight(world: World) -> None:
    refs = [world.put(f"{i}.jpg") for i in range(5)]
    world.inbox.append([created(ref) for ref in refs])
    dispatcher = world.dispatcher(in_flight_max=2)
    assert [dispatcher.step(block_ms=10), dispatcher.step(block_ms=10)] == [2, 0]
    world.finish(refs[0])
    assert dispatcher.step(block_ms=10) == 1
    assert world.ledger.in_flight() == 2


def test_junk_in_the_inbox_is_set_aside(world: World, client: Client, keys: Keys) -> None:
    client.xadd(keys.inbox, {"event": b"junk"})
    client.xadd(keys.inbox, {"other": b"field"})
    world.inbox.append([created(world.put("a.jpg"))])
    assert world.dispatcher().step(block_ms=10) == 1
    assert client.xlen(keys.inbox) == 0


def test_a_message_that_an_outage_of_redis_lost_is_sent_again_as_soon_as_the_queues_are_empty(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, done, drawn, postponed = (world.put(f"{name}.jpg") for name in ("lost", "done", "drawn", "postponed"))
    world.inbox.append([created(ref) for ref in (lost, done, drawn, postponed)])
    world.dispatcher(batch_max=4).step(block_ms=10)
    keeper = world.keeper()
    assert keeper.step() == 0
    world.ledger.advance([lost], REVISION, "retrieval", world.now + 60, now=world.now, begin=True)
    world.ledger.advance([drawn], REVISION, "segmentation", world.now + 60, now=world.now)
    world.ledger.postpone([postponed], REVISION, world.now + 30, "too many requests", now=world.now)
    world.finish(done)
    world.queues.sent.clear()
    with monkeypatch.context() as patched:
        patched.setattr(world.ledger, "server_run", lambda: "the next run")
        keeper.step()
        world.now += 1
        world.queues.waiting = 1  # what waits on a queue is not lost
        keeper.step()
        late = world.put("late.jpg")
        world.ledger.enter([Arrival(late)], REVISION, world.now, world.now + 60)
        assert world.queues.sent == []
        world.now += 1
        world.queues.waiting = 0
        keeper.step()
        assert world.queues.sent == [["lost.jpg"]]
        world.now += 1
        keeper.step()
        assert world.queues.sent == [["lost.jpg"]]  # once
    world.now = 1031  # what was postponed by 30 s is due
    assert [overdue.ref.id for overdue in world.ledger.overdue(world.now, world.now + 60)] == [postponed.id]


def test_the_keeper_sends_again_waits_and_gives_up(world: World) -> None:
    ref = world.put("a.jpg")
    world.inbox.append([created(ref)])
    world.dispatcher().step(block_ms=10)
    keeper = world.keeper()

    world.now += 61  # nobody has ever consumed the queue: it is not the object's fault
    assert keeper.step() == 1
    assert (len(world.queues.sent), world.queues.probes) == (1, ["embedding"])

    world.health.beat("embedding")
    world.now += 59
    world.health.beat("embedding")
    world.now += 2
    assert keeper.step() == 1
    assert world.queues.sent == [["a.jpg"], ["a.jpg"]]

    for _ in range(2):
        world.ledger.advance([ref], REVISION, "embedding", world.now + 60, now=world.now, begin=True)
    world.now += 61
    world.health.beat("embedding")
    keeper.step()
    (record,) = world.records.latest()
    assert record.state == "dead"
    assert record.error is not None
    assert record.error.code == "poisonous"
    assert keeper.step() == 0


def test_an_object_that_is_given_up_has_what_its_owner_wrote(world: World) -> None:
    user = UserMetadata(None, "4711", (("title", "x"),))
    ref = world.store.put("inbox", "a.jpg", io.BytesIO(b"x"), user_metadata=user).ref
    world.inbox.append([created(ref)])
    world.dispatcher().step(block_ms=10)
    for _ in range(2):
        world.ledger.advance([ref], REVISION, "embedding", world.now + 60, now=world.now, begin=True)
    world.now += 61
    world.health.beat("embedding")
    world.keeper().step()
    (record,) = world.records.latest()
    assert (record.state, record.client_id, record.metadata) == ("dead", "4711", {"title": "x"})


def test_what_the_store_does_not_answer_for_holds_nobody_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = world.store.stat

    def sometimes(bucket: str, key: str) -> ObjectInfo | None:
        if key == "broken.jpg":
            raise StoreAway("503")
        return stat(bucket, key)

    monkeypatch.setattr(world.store, "stat", sometimes)
    world.now = time.time()
    world.inbox.append([ObjectEvent("removed", "inbox", "broken.jpg"), created(world.put("good.jpg"))])
    assert world.dispatcher().step(block_ms=10) == 2
    assert world.queues.sent == [["good.jpg"]]
    assert world.records.counts()["inbox"] == 1
    assert world.dispatcher().recover(idle_ms=0) == 1  # it is looked at again, and put off again
    world.now += 86_500
    world.dispatcher().recover(idle_ms=0)
    assert world.records.counts()["inbox"] == 0


def test_what_a_silent_store_was_not_asked_is_not_given_up_however_old_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(bucket: str, key: str) -> ObjectInfo | None:
        raise StoreAway(f"no answer for {bucket}/{key}")

    monkeypatch.setattr(world.store, "stat", silent)
    world.inbox.append([ObjectEvent("removed", "inbox", f"{number}.jpg") for number in range(40)])
    world.now = time.time() + 86_500
    world.dispatcher().step(block_ms=10)
    assert 40 - SILENCES - THREADS < world.records.counts()["inbox"] <= 40 - SILENCES


def test_removals_that_the_store_gives_no_word_of_are_counted_and_cost_no_record(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(bucket: str, key: str) -> ObjectInfo | None:
        raise ObjectForbidden(f"403 for {bucket}/{key}")

    refs = [world.put(f"{number}.jpg") for number in range(3)]
    world.inbox.append([created(ref) for ref in refs])
    world.dispatcher().step(block_ms=10)
    for ref in refs:
        world.finish(ref)
    monkeypatch.setattr(world.store, "stat", forbidden)
    world.inbox.append([ObjectEvent("removed", "inbox", ref.key) for ref in refs])
    world.inbox.append([ObjectEvent("created", "inbox", "no etag.jpg")])
    world.dispatcher().step(block_ms=10)
    assert world.event_sink.counts() == {"dispatcher:removals-unverified": 3}
    assert world.records.counts()["done"] == 3
    assert world.records.counts()["inbox"] == 0


def test_what_is_not_followed_is_not_tagged_whatever_tells_of_it(world: World) -> None:
    world.inbox.append([created(world.put("ignored/a.jpg")), ObjectEvent("removed", "inbox", "ignored/a.jpg")])
    world.dispatcher().step(block_ms=10)
    assert world.queues.sent == []
    assert world.ledger.in_flight() == 0


def test_what_is_tagged_again_waits_for_what_is_new(world: World) -> None:
    old = [world.put(f"old{number}.jpg") for number in range(3)]
    world.later.append([ObjectEvent("created", "inbox", ref.key, force=True) for ref in old])
    world.inbox.append([created(world.put("new.jpg"))])
    dispatcher = world.dispatcher(batch_max=2)
    assert [dispatcher.step(block_ms=10), dispatcher.step(block_ms=10)] == [1, 2]
    assert world.queues.sent == [["new.jpg"], ["old0.jpg", "old1.jpg"]]
    world.put("newer.jpg")
    for _ in range(3):
        dispatcher.step(block_ms=10)
    assert world.later.length() == 0 or world.ledger.in_flight() >= 4


def test_an_image_that_was_tagged_before_goes_to_retrieval_for_its_vector_may_be_kept(world: World) -> None:
    old = world.put("old.jpg")
    world.inbox.append([created(old)])
    world.dispatcher().step(block_ms=1)
    world.finish(old)
    changed = world.put("changed.jpg")
    world.inbox.append([created(changed)])
    world.dispatcher().step(block_ms=1)
    world.finish(changed)
    again = world.put("changed.jpg", b"another")
    world.queues.sent.clear()
    world.queues.stages.clear()
    world.later.append([ObjectEvent("created", "inbox", ref.key, force=True) for ref in (old, again)])
    world.dispatcher().step(block_ms=1)
    assert dict(zip(world.queues.stages, world.queues.sent, strict=True)) == {
        "retrieval": ["old.jpg"], "embedding": ["changed.jpg"],
    }  # fmt: skip


def forced(ref: ObjectRef) -> ObjectEvent:
    return ObjectEvent("created", ref.bucket, ref.key, force=True)


def test_objects_of_low_priority_are_sent_a_few_at_a_time_and_after_new_ones(world: World) -> None:
    again = [world.put(f"again/{i}.jpg") for i in range(10)]
    world.inbox.append([created(ref) for ref in again])
    dispatcher = world.dispatcher(batch_max=2)
    dispatcher.step(block_ms=10)
    for ref in again:
        world.finish(ref)
    world.queues.sent.clear()
    world.queues.stages.clear()
    world.later.append([forced(ref) for ref in again])
    assert [dispatcher.step(block_ms=10) for _ in range(4)] == [2, 2, 0, 0]
    world.inbox.append([created(world.put("new.jpg"))])
    assert dispatcher.step(block_ms=10) == 1
    assert world.queues.sent[-1] == ["new.jpg"]
    for ref in again[:3]:
        world.finish(ref)
    assert dispatcher.step(block_ms=10) == 2
    assert world.queues.stages == ["retrieval", "retrieval", "embedding", "retrieval"]
    assert world.later.length() == 4


def test_without_new_objects_of_low_priority_it_waits_for_other_ones(
    world: World, client: Client, keys: Keys
) -> None:
    """Entries that were read and not finished are in the stream, and another reader has them."""
    waits: list[int | None] = []

    class Waiting(Inbox):
        def read(self, consumer: str, count: int, block_ms: int | None) -> list[tuple[str, ObjectEvent]]:
            waits.append(block_ms)
            return super().read(consumer, count, block_ms)

    world.later.append([forced(world.put("a.jpg"))])
    assert len(world.later.read("another", 1, None)) == 1
    world.inbox = Waiting(client, keys.inbox)
    assert world.dispatcher().step(block_ms=10) == 0
    assert waits == [None, 10]
