"""Images that end the process that segments them, or that tags them again: they keep what they have, and say so."""

from __future__ import annotations

import pytest

from tests.contract.segmentation.drawing_world import make as make  # noqa: PLC0414 -- a fixture
from tests.contract.segmentation.drawing_world import world as world  # noqa: PLC0414 -- a fixture
from tests.contract.segmenting_world import World
from tests.unit.segmentation.world import GREEN, RED, halves
from workers.lifecycle.record import Record
from workers.settings.settings import SEGMENTATION
from workers.stages.handover import Handover

HOW = "was ended by SIGSEGV"


def crash(world: World, stage: str, times: int) -> None:
    """A worker begins with the next message of a stage, and ends over it, so often."""
    w = world.wiring
    handover = Handover(w.ledger, w.publisher, w.inbox, lambda _: None, 60.0, w.clock)
    for _ in range(times):
        world.settle(lambda: any(one == stage for one, *_ in world.queues.sent))
        ((_, batch, retries),) = [sent for sent in world.queues.sent if sent[0] == stage]
        world.queues.sent.clear()
        handover.accept(stage, batch, begin=stage == "embedding" and not retries)
        handover.blame(batch.objects, batch.revision, f"{HOW} in {stage}", blamed=True)
        world.pass_by(0.1)


def final(world: World, key: str) -> Record:
    """The record when all has ended."""
    world.settle()
    assert world.wiring.ledger.in_flight() == world.wiring.ledger.segmenting() == 0
    return world.record(key)


def test_an_image_that_ends_its_segmentation_keeps_its_tags_and_says_so(world: World) -> None:
    world.put("drawn/a.png")
    crash(world, SEGMENTATION, world.settings.max_attempts)
    found = final(world, "drawn/a.png")
    assert found.state == "done"
    assert found.tags
    assert found.segmentation is not None
    assert found.segmentation.error is not None
    assert found.segmentation.error.code == "poisonous"
    assert f"the worker {HOW} in segmentation" in found.segmentation.error.reason
    assert world.final() == [("drawn/a.png", "done", "dense")], "one record"


def test_it_can_be_asked_for_again(world: World) -> None:
    world.put("drawn/a.png")
    crash(world, SEGMENTATION, world.settings.max_attempts)
    final(world, "drawn/a.png")
    world.request_segmentation("drawn/a.png")
    world.again("drawn/a.png")
    found = final(world, "drawn/a.png")
    assert found.segmentation is not None
    assert found.segmentation.error is None
    assert found.segmentation.segments


def test_a_request_that_comes_before_it_has_ended_is_tried(world: World) -> None:
    world.put("drawn/a.png")
    crash(world, SEGMENTATION, world.settings.max_attempts)
    world.request_segmentation("drawn/a.png")
    found = final(world, "drawn/a.png")
    assert found.segmentation is not None
    assert found.segmentation.error is None


def test_an_image_that_ends_an_earlier_stage_is_dead_all_the_same(world: World) -> None:
    world.put("drawn/a.png")
    crash(world, SEGMENTATION, world.settings.max_attempts)
    crash(world, "embedding", world.settings.max_attempts)
    assert final(world, "drawn/a.png").state == "dead"


def test_what_waits_for_too_long_in_segmentation_keeps_its_tags(world: World) -> None:
    world.put("drawn/a.png")
    world.settle(lambda: any(stage == SEGMENTATION for stage, *_ in world.queues.sent))
    ((_, batch, _),) = world.queues.sent
    world.queues.sent.clear()
    world.wiring.ledger.postpone(batch.objects, batch.revision, world.now + 1, "no answer", now=world.now)
    world.pass_by(world.settings.give_up_s + 2)
    found = final(world, "drawn/a.png")
    assert found.state == "done"
    assert found.segmentation is not None
    assert found.segmentation.error is not None
    assert found.segmentation.error.code == "gave-up"


@pytest.mark.parametrize("captions", ["captions@1", "captions@2"])
def test_tags_are_not_lost_when_tagging_again_fails(world: World, captions: str) -> None:
    world.put("a.png")
    before = final(world, "a.png")
    assert before.tags
    world.version = captions
    world.again("a.png")
    crash(world, "embedding", world.settings.max_attempts)
    found = final(world, "a.png")
    assert (found.state, found.tags, found.evidence) == ("done", before.tags, before.evidence)
    assert found.captions_version == "captions@1", "the tags are of these"
    assert found.retag_error is not None
    assert f"the worker {HOW} in embedding" in found.retag_error.reason
    assert found.finished_at > before.finished_at
    label = before.tags[0].label
    assert list(world.wiring.records.tag_index.tagged(label)) == ["inbox/a.png"]
    counted = world.wiring.redis.hget(world.wiring.keys.ledger_counts, "finished:done:poisonous")
    assert counted == b"1"

    world.again("a.png")
    again = final(world, "a.png")
    assert (again.captions_version, again.retag_error) == (captions, before.retag_error)


def test_a_segmentation_of_a_tagged_image_fails_with_its_tagging(world: World) -> None:
    world.put("a.png")
    before = final(world, "a.png")
    world.request_segmentation("a.png")
    world.again("a.png")
    crash(world, "embedding", world.settings.max_attempts)
    found = final(world, "a.png")
    assert (found.state, found.tags) == ("done", before.tags)
    assert found.segmentation is not None
    assert found.segmentation.error is not None
    assert found.segmentation.error == found.retag_error


def test_tags_of_another_version_of_the_object_are_not_kept(world: World) -> None:
    world.put("a.png")
    final(world, "a.png")
    world.put("a.png", halves(GREEN, RED))
    crash(world, "embedding", world.settings.max_attempts)
    found = final(world, "a.png")
    assert (found.state, found.tags) == ("dead", ())
