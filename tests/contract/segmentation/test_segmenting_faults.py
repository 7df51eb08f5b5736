"""Segmentation that fails, waits for a store or for captions, or lost its message."""

from __future__ import annotations

import time
from typing import Any

from tests.contract.segmentation.drawing_world import make as make  # noqa: PLC0414 -- a fixture
from tests.contract.segmentation.drawing_world import world as world  # noqa: PLC0414 -- a fixture
from tests.contract.segmenting_world import World
from tests.eventually import eventually
from workers.lifecycle.event import ObjectEvent
from workers.segmentation.keepalive import keepalive
from workers.settings.settings import SEGMENTATION, STAGES
from workers.stores.store import StoreAway


def test_an_image_keeps_its_tags_when_it_cannot_be_segmented(world: World) -> None:
    def broken(_: object) -> Any:
        raise RuntimeError("no shape fits")

    world.put("drawn/a.png")
    world.settle(lambda: any(stage == SEGMENTATION for stage, *_ in world.queues.sent))
    world.wiring.image_encoder.encode = broken
    world.settle()
    found = world.record("drawn/a.png")
    assert found.state == "done"
    assert found.tags
    assert found.segmentation is not None
    assert found.segmentation.error is not None
    assert "no shape fits" in found.segmentation.error.reason


def test_a_way_that_there_is_not_is_said_in_the_record(world: World) -> None:
    world.request_segmentation("a.png", "prompted")
    world.put("a.png")
    world.settle()
    drawn = world.record("a.png").segmentation
    assert drawn is not None
    assert drawn.error is not None
    assert drawn.error.code == "no-such-method"


def test_what_is_no_image_fails_as_ever(world: World) -> None:
    world.put("drawn/a.png", b"no image")
    world.settle()
    assert world.record("drawn/a.png").state == "failed"
    world.wiring.inbox.append([ObjectEvent.seen(world.wiring.store.stat("inbox", "drawn/a.png"))])
    world.settle()
    assert world.wiring.ledger.segmenting() == world.wiring.ledger.in_flight() == 0


def test_captions_that_were_dropped_meanwhile_begin_it_anew(world: World) -> None:
    world.put("drawn/a.png")
    world.settle(lambda: any(stage == SEGMENTATION for stage, *_ in world.queues.sent))
    world.versions.dropped.add("captions@1")
    world.version = "captions@2"
    world.settle()
    found = world.record("drawn/a.png")
    assert (found.captions_version, found.segmentation_method) == ("captions@2", "dense")


def test_a_store_that_is_away_is_waited_for(world: World) -> None:
    world.put("drawn/a.png")
    put = world.wiring.store.put
    away = [True] * 3

    def sometimes(*given: Any) -> Any:
        if away and given[1].startswith(".wildtag/"):
            away.pop()
            raise StoreAway("no place")
        return put(*given)

    world.wiring.store.put = sometimes
    world.settle()
    assert world.record("drawn/a.png").segmentation_method == "dense"
    assert not away


def test_a_lost_message_is_sent_again(world: World) -> None:
    """Whatever was killed with it: the object is begun again, and ends with one record."""
    world.put("drawn/a.png")
    world.settle(lambda: any(stage == SEGMENTATION for stage, *_ in world.queues.sent))
    world.queues.sent.clear()
    world.now += 61
    for stage in (*STAGES, SEGMENTATION):
        world.wiring.health.beat(stage)
    assert world.keeper.step() == 1
    world.settle()
    assert world.record("drawn/a.png").segmentation_method == "dense"


def test_while_nobody_segments_those_objects_wait_and_others_do_not(world: World) -> None:
    world.put("drawn/a.png")
    world.settle(lambda: any(stage == SEGMENTATION for stage, *_ in world.queues.sent))
    world.put("plain.png")
    world.dispatcher.step(1)
    world.queues.sent.clear()
    world.now += 61
    for stage in STAGES:
        world.wiring.health.beat(stage)
    world.keeper.step()
    assert [ref.key for _, batch, _ in world.queues.sent for ref in batch.objects] == ["plain.png"]
    assert SEGMENTATION in world.queues.probed


def test_long_work_pushes_its_deadline_on_and_that_of_those_behind_it(world: World) -> None:
    """And not that of one before it on the queue, which is lost."""
    for number in range(3):
        world.put(f"drawn/{number}.png")
    while sum(stage == SEGMENTATION for stage, *_ in world.queues.sent) < 2:
        world.dispatcher.step(1)
        for message in [m for m in world.queues.sent if m[0] != SEGMENTATION]:
            world.queues.sent.remove(message)
            world.stages.run(message[0], message[1].encode(), 0)
        world.now += 0.01
    first, second = ((stage, batch) for stage, batch, _ in world.queues.sent)
    world.now += 50
    world.stages.run(SEGMENTATION, first[1].encode(), 1)  # begins, and
    (ref,) = second[1].objects
    world.wiring.ledger.extend(ref, SEGMENTATION, world.now + 60)
    assert world.wiring.ledger.overdue(world.now + 20, world.now + 20) == []
    assert world.record(first[1].objects[0].key).segmentation_method == "dense"


def test_progress_is_told_while_a_model_is_at_work() -> None:
    calls: list[int] = []
    with keepalive(lambda: calls.append(1), 0.01):
        eventually(lambda: len(calls) >= 3, 10)
    count = len(calls)
    time.sleep(0.05)  # five periods
    assert len(calls) == count
