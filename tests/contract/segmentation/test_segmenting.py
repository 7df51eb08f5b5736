"""Segmenting objects beside the stages: who is segmented, when, and what is kept of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.contract.segmentation.drawing_world import make as make  # noqa: PLC0414 -- a fixture
from tests.contract.segmentation.drawing_world import world as world  # noqa: PLC0414 -- a fixture
from tests.contract.segmenting_world import World
from tests.unit.segmentation.world import BLUE, RED, halves
from workers.lifecycle.event import ObjectEvent
from workers.settings.settings import SEGMENTATION, STAGES

PICTURES = ["segments/a.png.labels.png", "segments/a.png.overlay.jpg"]


def test_who_is_asked_for_is_segmented_and_its_pictures_are_kept(world: World) -> None:
    world.request_segmentation("a.png")
    world.put("a.png")
    world.put("b.png")
    world.settle()
    drawn = world.record("a.png").segmentation
    assert drawn is not None
    assert {segment.label for segment in drawn.segments} == {"cat", "bridge"}
    assert sum(segment.area for segment in drawn.segments) == pytest.approx(1, abs=0.01)
    assert world.record("a.png").tags
    assert world.record("a.png").timings_ms[SEGMENTATION] > 0
    assert world.record("b.png").segmentation is None
    assert world.artifacts() == PICTURES
    assert drawn.artifacts is not None
    label_map = np.asarray(Image.open(world.settings.inbox_folder / drawn.artifacts.label_map))
    assert label_map.shape == (128, 128)
    assert [drawn.labels[value].label for value in label_map[64, [5, 120]]] == ["cat", "bridge"]
    assert world.wiring.redis.keys("test:segmentation-request:*") == []


def test_the_settings_say_which_prefixes_are_segmented(world: World) -> None:
    world.put("drawn/a.png")
    world.put("drawn/not/a.png")
    world.put("elsewhere/a.png")
    world.settle()
    methods = [world.record(f"{name}/a.png").segmentation_method for name in ("drawn", "drawn/not", "elsewhere")]
    assert methods == ["dense", "regions", ""]


def test_a_wish_says_more_than_a_prefix(world: World) -> None:
    world.request_segmentation("drawn/a.png", "none")
    world.put("drawn/a.png")
    world.settle()
    assert world.record("drawn/a.png").segmentation is None


def test_plain_images_do_not_wait_behind_those_that_are_segmented(world: World) -> None:
    for number in range(6):
        world.put(f"drawn/{number}.png")
    world.put("plain.png")
    world.dispatcher.step(1)
    world.dispatcher.step(1)
    assert world.wiring.ledger.segmenting() == 2
    assert world.waiting() == 4
    assert "plain.png" in [ref.key for stage, batch, _ in world.queues.sent for ref in batch.objects]
    world.settle()
    assert all(world.record(f"drawn/{number}.png").segmentation_method for number in range(6))
    assert world.wiring.ledger.segmenting() == world.wiring.ledger.in_flight() == 0


def test_a_wish_that_comes_while_the_object_is_on_its_way_is_heard(world: World) -> None:
    """In whichever stage it is: what has its tags is not written before it is drawn."""
    for number, stage in enumerate(STAGES):
        key = f"{number}.png"
        world.put(key)
        world.settle(lambda stage=stage: any(sent == stage for sent, *_ in world.queues.sent))  # type: ignore[misc]
        world.request_segmentation(key)
        world.wiring.inbox.append([ObjectEvent("created", "inbox", key)])
        world.dispatcher.step(1)
        world.dispatcher.step(1)
        world.settle()
        assert world.record(key).segmentation_method == "dense"


def test_a_wish_for_a_finished_object_gives_it_another_record(world: World) -> None:
    world.put("a.png")
    world.settle()
    before = world.record("a.png")
    world.request_segmentation("a.png", "regions")
    world.wiring.inbox.append([ObjectEvent("created", "inbox", "a.png")])
    world.settle()
    assert world.record("a.png").segmentation_method == "regions"
    assert world.record("a.png").finished_at > before.finished_at


def test_a_repeated_event_changes_nothing(world: World) -> None:
    world.put("drawn/a.png")
    world.settle()
    before = world.record("drawn/a.png")
    seen = ObjectEvent.seen(world.wiring.store.stat("inbox", "drawn/a.png"))
    world.wiring.inbox.append([seen, seen])
    world.settle()
    assert world.record("drawn/a.png") == before


def test_what_was_drawn_is_drawn_again_when_it_is_tagged_again(world: World) -> None:
    """By whoever asks for tags, and without holding up others."""
    world.request_segmentation("a.png")
    world.put("a.png")
    world.settle()
    before = world.record("a.png")
    world.again("a.png")
    world.settle()
    assert world.record("a.png").segmentation_method == "dense"
    assert world.record("a.png").finished_at > before.finished_at
    world.request_segmentation("a.png", "none")
    world.again("a.png")
    world.settle()
    assert world.record("a.png").segmentation is None


def test_another_version_is_not_segmented_because_the_last_one_was(world: World) -> None:
    world.request_segmentation("a.png")
    world.put("a.png")
    world.settle()
    world.put("a.png", halves(BLUE, RED))
    world.settle()
    assert world.record("a.png").segmentation is None
    world.remove("a.png")
    world.settle()
    assert world.artifacts() == []


def test_pictures_go_with_their_object(world: World) -> None:
    for key in ("a.png", "drawn/b.png"):
        world.request_segmentation(key)
        world.put(key)
    world.put("kept.png")
    world.settle()
    assert len(world.artifacts()) == 4
    world.remove("a.png")
    world.remove("drawn/b.png")
    world.settle()
    assert world.artifacts() == []
    assert [record.key for record in world.wiring.records.latest()] == ["kept.png"]


def test_an_object_that_goes_while_it_waits_or_is_drawn_leaves_nothing(world: World) -> None:
    world.put("drawn/a.png")
    world.settle(lambda: any(stage == SEGMENTATION for stage, *_ in world.queues.sent))
    for number in range(4):
        world.put(f"drawn/{number}.png")
    world.dispatcher.step(1)
    for name in ("a", *range(4)):
        world.remove(f"drawn/{name}.png")
    world.settle()
    assert list(world.wiring.records.latest()) == []
    assert world.artifacts() == []
    assert world.wiring.ledger.in_flight() == world.wiring.ledger.segmenting() == 0


def test_an_object_that_goes_after_it_was_fetched_leaves_no_pictures(world: World) -> None:
    world.put("drawn/a.png")
    world.settle(lambda: any(stage == SEGMENTATION for stage, *_ in world.queues.sent))
    keep, artifacts = world.wiring.artifacts.keep, world.wiring.artifacts

    def meanwhile(*given: Any) -> Any:
        artifacts.keep = keep
        world.remove("drawn/a.png")
        world.dispatcher.step(1)
        return keep(*given)

    artifacts.keep = meanwhile
    world.settle()
    assert world.artifacts() == []
    assert list(world.wiring.records.latest()) == []


def test_pictures_of_an_older_version_that_come_late_are_drawn_anew(world: World) -> None:
    world.put("drawn/a.png")
    world.settle(lambda: any(stage == SEGMENTATION for stage, *_ in world.queues.sent))
    late = world.queues.sent.pop()
    keep, artifacts = world.wiring.artifacts.keep, world.wiring.artifacts

    def meanwhile(*given: Any) -> Any:
        artifacts.keep = keep
        world.put("drawn/a.png", halves(BLUE, RED))
        world.settle()
        return keep(*given)

    artifacts.keep = meanwhile
    world.stages.run(late[0], late[1].encode(), 0)
    world.settle()
    drawn = world.record("drawn/a.png").segmentation
    assert drawn is not None
    assert drawn.artifacts is not None
    label_map = np.asarray(Image.open(world.settings.inbox_folder / drawn.artifacts.label_map))
    assert drawn.labels[label_map[64, 5]].label == "bridge"
