"""A batch that tags objects again counts one that was in progress when its second round has ended, once."""

from __future__ import annotations

from tests.contract.dispatch.dispatching_world import REVISION, World, created
from tests.contract.dispatch.dispatching_world import world as world  # noqa: PLC0414 -- a fixture
from workers.dispatch.object_batches import Batches
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import Inbox, LowPriorityInbox
from workers.lifecycle.progress import ProgressReader
from workers.lifecycle.retag_marks import RetagMarks
from workers.redis.connection import Client
from workers.redis.keys import Keys


def test_a_batch_that_tags_again_waits_for_the_second_round(world: World, client: Client, keys: Keys) -> None:
    world.inbox = Inbox(client, keys.inbox, RetagMarks(client, keys))
    world.later = LowPriorityInbox(client, keys)
    progress = ProgressReader(client, keys)
    batches = Batches(
        client, keys, progress, world.store, world.later, "inbox", lambda _: True, lambda: world.now
    )  # fmt: skip

    def counts(batch: str) -> dict[str, int]:
        status = batches.status(batch)
        assert status is not None
        return dict(status.counts)

    def begun() -> None:
        assert world.ledger.advance([cat], REVISION, "retrieval", world.now + 60, now=world.now) != [None]

    dispatcher, cat = world.dispatcher(), world.put("cat.png")
    first = batches.of_keys(["cat.png"], announce=True)
    dispatcher.step(block_ms=1)
    begun()
    again = batches.of_keys(["cat.png"], announce=True, force=True)
    dispatcher.step(block_ms=1)
    assert world.queues.sent == [["cat.png"]]  # not while it is in progress
    world.now = 4e9  # the batches compare with the times of Redis
    world.finish(cat)
    assert (counts(first), counts(again)) == ({"queued": 1}, {"queued": 1})
    dispatcher.step(block_ms=1)
    assert world.queues.sent == [["cat.png"]] * 2
    begun()
    assert counts(again) == {"retrieval": 1}
    world.now += 60
    world.finish(cat)
    assert (counts(first), counts(again)) == ({"done": 1}, {"done": 1})
    assert dispatcher.step(block_ms=1) == 0
    assert [batches.status(one).finished for one in (first, again)] == [True, True]  # type: ignore[union-attr]


def test_an_order_holds_when_the_object_is_reported_after_it(world: World) -> None:
    cat = world.put("cat.png")
    world.inbox.append([created(cat)])
    world.dispatcher().step(block_ms=1)
    world.finish(cat)
    world.inbox.append([ObjectEvent("created", cat.bucket, cat.key, force=True), created(cat)])
    world.dispatcher().step(block_ms=1)
    assert world.queues.sent == [["cat.png"]] * 2
