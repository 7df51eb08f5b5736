"""An object whose message still waits in a queue is neither sent again nor blamed, however long the queue takes."""

from __future__ import annotations

import pytest

from tasks.message_parts import ObjectRef
from tests.contract.dispatch.dispatching_world import REVISION, World
from tests.contract.dispatch.dispatching_world import world as world  # noqa: PLC0414 -- a fixture
from workers.lifecycle.event import ObjectEvent

DEADLINE_S = 60  # of the world's dispatcher and keeper


@pytest.fixture
def late(world: World) -> ObjectRef:
    """An object that was dispatched, and that nobody has begun with."""
    ref = world.put("late.png")
    world.inbox.append([ObjectEvent("created", "inbox", "late.png")])
    world.dispatcher().step()
    return ref


def look(world: World, seconds: float = DEADLINE_S + 1, taken: float | None = None) -> int:
    """The keeper's look so much later. Returns how many messages it has sent. ``taken``: see ``Health.taken``."""
    world.now += seconds
    world.queues.sent.clear()
    world.health.beat("embedding")
    if taken is not None:
        world.ledger._redis.execute_command(*world.health.command("embedding", taken))
    world.keeper().step()
    return len(world.queues.sent)


def test_it_waits_as_long_as_nothing_behind_it_was_begun(world: World, late: ObjectRef) -> None:
    put_at = world.now
    world.queues.waiting = 9
    assert look(world) == 0  # nothing was begun at all
    for _ in range(20):
        assert look(world, taken=put_at - 5) == 0
    assert look(world, taken=put_at + DEADLINE_S / 2 + 1) == 1
    assert world.queues.refs[-1] == late


@pytest.mark.usefixtures("late")
def test_its_new_message_has_its_own_place_in_the_queue(world: World) -> None:
    world.queues.waiting = 9
    assert look(world, taken=world.now + DEADLINE_S) == 1
    again = world.now
    assert look(world, taken=again) == 0
    assert look(world, taken=again + DEADLINE_S) == 1


@pytest.mark.usefixtures("late")
def test_an_empty_queue_has_lost_its_message(world: World) -> None:
    assert look(world, taken=world.now - 5) == 1


@pytest.mark.parametrize("begun", [True, False])
def test_only_what_a_worker_has_begun_is_given_up(world: World, late: ObjectRef, *, begun: bool) -> None:
    for _ in range(2):
        world.ledger.advance([late], REVISION, "embedding", world.now + DEADLINE_S, now=world.now, begin=True)
    if not begun:
        world.ledger.put_on("retrieval", [late], REVISION, world.now)
        world.queues.waiting = 9
    sent = look(world)
    (record,) = world.records.get([late.id])
    assert (sent, record is not None and record.state == "dead") == (0, begun)


def test_what_was_begun_is_sent_again_though_the_queue_is_long(world: World, late: ObjectRef) -> None:
    world.queues.waiting = 9
    world.ledger.advance([late], REVISION, "embedding", world.now + DEADLINE_S, now=world.now, begin=True)
    assert look(world) == 1


def test_a_message_that_is_always_lost_ends_somewhen(world: World, late: ObjectRef) -> None:
    for _ in range(10):
        world.ledger.advance([late], REVISION, "embedding", world.now + DEADLINE_S, now=world.now, begin=True)
        world.ledger.put_on("retrieval", [late], REVISION, world.now)
        look(world)
    (record,) = world.records.get([late.id])
    assert record is not None
    assert record.state == "dead"


def test_what_is_tried_again_at_the_end_of_a_long_queue_waits_there(world: World, late: ObjectRef) -> None:
    world.queues.waiting = 9
    for _ in range(9):
        world.ledger.advance([late], REVISION, "embedding", world.now + DEADLINE_S, now=world.now, begin=True)
        world.ledger.put_on("embedding", [late], REVISION, world.now, "back")
        if world.records.pending()[0].attempts < 6:  # three times the world's largest number
            assert look(world) == 0
    assert look(world, taken=world.now + DEADLINE_S) == 0
    (record,) = world.records.get([late.id])
    assert record is not None
    assert record.state == "dead"


def test_what_goes_back_to_the_queue_of_segmentation_has_a_new_place_in_it(world: World, late: ObjectRef) -> None:
    for _ in range(2):  # it was to be segmented in another way meanwhile
        world.now += 50
        world.ledger.advance([late], REVISION, "segmentation", world.now, now=world.now, handed=True)
    (overdue,) = world.ledger.overdue(world.now + 1, world.now + DEADLINE_S)
    assert (overdue.queue, overdue.put_at) == ("segmentation", world.now)


def test_a_clock_that_was_set_back_keeps_nothing_waiting_for_hours(world: World, late: ObjectRef) -> None:
    world.queues.waiting = 9
    world.now -= 500
    world.ledger.advance([late], REVISION, "embedding", world.now + DEADLINE_S, now=world.now, handed=True)
    assert look(world, taken=world.now + 490) == 0  # also put there before it was set back
    assert look(world, taken=world.now + 5) == 1
    assert world.queues.refs[-1] == late


def test_a_stage_tells_what_it_has_taken(world: World, late: ObjectRef) -> None:
    put_at = world.now
    world.ledger.put_on("embedding", [late], REVISION, world.now + 5, "again")  # this is the message before
    world.now += 10
    (accepted,) = world.ledger.advance([late], REVISION, "embedding", world.now + 60, now=world.now, begin=True)
    assert accepted is not None
    assert accepted.since == put_at
    world.ledger.put_on("retrieval", [late], REVISION, world.now + 1)
    (accepted,) = world.ledger.advance([late], REVISION, "retrieval", world.now + 60, now=world.now + 5)
    assert accepted is not None
    assert accepted.since == world.now + 1
