"""Places of segmentation: how many objects wait and are segmented at once, and requests that are kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.segmentation.drawing_world import make as make  # noqa: PLC0414 -- a fixture
from tests.contract.segmentation.drawing_world import world as world  # noqa: PLC0414 -- a fixture
from tests.contract.segmenting_world import World
from tests.contract.sweeping import swept
from tests.unit.segmentation.world import BLUE, RED, halves
from workers.dispatch.object_batches import Batches
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.progress import ProgressReader
from workers.settings.settings import SEGMENTATION, Settings
from workers.stores.store import ObjectForbidden, StoreAway


def test_a_wish_is_heard_even_when_the_record_is_written_before_its_event(world: World) -> None:
    world.put("a.png")
    world.settle(lambda: any(stage == "scoring" for stage, *_ in world.queues.sent))
    world.request_segmentation("a.png")
    world.wiring.inbox.append([ObjectEvent("created", "inbox", "a.png")])
    while world.queues.sent:
        stage, batch, retries = world.queues.sent.pop(0)
        world.stages.run(stage, batch.encode(), retries)
    world.settle()
    assert world.final() == [("a.png", "done", "dense")]


@pytest.mark.parametrize("method", ["none", "regions"])
def test_what_somebody_asked_for_stays_whatever_the_settings_say(world: World, method: str) -> None:
    world.request_segmentation("drawn/a.png", method)
    world.put("drawn/a.png")
    world.settle()
    world.wiring.inbox.append([ObjectEvent.seen(world.wiring.store.stat("inbox", "drawn/a.png"))])
    world.settle()
    has = "" if method == "none" else method
    assert world.final() == [("drawn/a.png", "done", has)]
    world.again("drawn/a.png")
    world.settle()
    assert world.record("drawn/a.png").segmentation_method == has


def test_captions_that_are_dropped_while_all_places_are_taken_end_nothing(world: World) -> None:
    for number in range(2):
        world.put(f"drawn/{number}.png")
    world.settle(lambda: sum(stage == SEGMENTATION for stage, *_ in world.queues.sent) == 2)
    world.versions.dropped.add("captions@1")
    world.version = "captions@2"
    for _ in range(9):
        world.settle()
        world.pass_by(30)
    assert sorted(world.final()) == [(f"drawn/{number}.png", "done", "dense") for number in range(2)]


def test_an_object_that_is_overwritten_while_it_has_the_only_place_keeps_it(make: Callable[..., World]) -> None:
    world = make(segment_prefixes=("drawn/=dense",), segmenting_max=1)
    world.put("drawn/a.png")
    world.put("drawn/b.png")
    world.settle(lambda: any(stage == SEGMENTATION for stage, *_ in world.queues.sent))
    etag = world.put("drawn/a.png", halves(BLUE, RED))
    for _ in range(9):
        world.settle()
        world.pass_by(30)
    assert sorted(world.final()) == [("drawn/a.png", "done", "dense"), ("drawn/b.png", "done", "dense")]
    assert world.record("drawn/a.png").etag == etag


def test_a_store_that_was_away_has_no_more_at_once_than_before(world: World) -> None:
    for number in range(12):
        world.put(f"drawn/{number}.png")
    stat = world.wiring.store.stat

    def away(*_: object) -> Any:
        raise StoreAway("gone for a moment")

    world.wiring.store.stat = away
    for _ in range(10):
        world.now += 1
        world.dispatcher.step(1)
    world.wiring.store.stat = stat
    world.now += 2
    world.dispatcher.recover(0)
    world.dispatcher.step(1)
    assert world.wiring.ledger.segmenting() == 2
    world.settle()
    for _ in range(3):
        world.now += 2
        world.settle()
    assert len(world.final()) == 12


def test_a_sweep_does_not_multiply_what_waits(world: World) -> None:
    for number in range(20):
        world.put(f"drawn/{number}.png")
    world.dispatcher.step(1)
    for _ in range(3):
        swept(world.wiring.store, "inbox", world.wiring.redis, world.wiring.keys)
        for _ in range(3):
            world.dispatcher.step(1)
    assert world.waiting() <= 20
    world.settle()
    assert len(world.final()) == 20


def test_a_batch_waits_for_what_is_to_be_segmented(world: World) -> None:
    world.now = time.time() - 100
    wiring = world.wiring
    world.request_segmentation("old.png")
    world.put("old.png")
    world.settle()
    batches = Batches(wiring.redis, wiring.keys, ProgressReader(wiring.redis, wiring.keys), wiring.store,
                      wiring.low_priority_inbox, "inbox", lambda _: True)  # fmt: skip
    for number in range(3):
        world.put(f"drawn/{number}.png")
    world.settle(lambda: sum(stage == SEGMENTATION for stage, *_ in world.queues.sent) == 2)
    batch = batches.of_prefix("old", force=True)
    assert batches.list_page()
    for _ in range(4):
        world.dispatcher.step(1)
    found = batches.status(batch)
    assert found is not None
    assert not found.finished
    assert found.counts == {"queued": 1}


def test_a_wish_that_is_fulfilled_already_is_not_kept_for_the_next_version(world: World) -> None:
    world.request_segmentation("a.png")
    world.put("a.png")
    world.settle()
    world.request_segmentation("a.png")
    world.wiring.inbox.append([ObjectEvent("created", "inbox", "a.png")])
    world.settle()
    world.put("a.png", halves(BLUE, RED))
    world.settle()
    assert world.record("a.png").segmentation_method == ""


def test_an_object_that_waits_for_its_store_takes_no_place(world: World) -> None:
    world.put("drawn/a.png")
    world.settle(lambda: any(stage == SEGMENTATION for stage, *_ in world.queues.sent))
    (stage, batch, _) = world.queues.sent.pop()
    fault = "HEAD and GET disagree"
    world.wiring.ledger.postpone(batch.objects, batch.revision, world.now + 30, fault, now=world.now)
    assert world.wiring.ledger.segmenting() == 0
    world.pass_by(31)
    world.settle()
    assert world.record("drawn/a.png").segmentation_method == "dense"
    assert stage == SEGMENTATION


def test_pictures_that_may_not_be_removed_stop_nobody(world: World) -> None:
    world.put("drawn/a.png")
    world.settle()

    def forbidden(*_: object) -> None:
        raise ObjectForbidden("no s3:DeleteObject")

    remove = world.wiring.store.remove
    (world.settings.inbox_folder / "drawn" / "a.png").unlink()
    world.wiring.store.remove = forbidden
    world.wiring.inbox.append([ObjectEvent("removed", "inbox", "drawn/a.png")])
    world.put("b.png")
    world.settle()
    assert world.record("b.png").state == "done"
    world.wiring.store.remove = remove


def test_keys_that_are_no_names_for_pictures_get_others(world: World) -> None:
    artifacts = world.wiring.artifacts
    odd = ["a" * 64, "x" * 240, "a.labels.png/b", "/".join(["y" * 100] * 10), "ü" * 120]
    made = [artifacts.of(key).label_map for key in odd]
    assert len(set(made)) == len(odd)
    assert all(len(name.encode()) < 1024 and len(name.rpartition("/")[2].encode()) < 255 for name in made)


def test_settings_refuse_rules_that_are_none() -> None:
    for rules in ("photos/", "photos/=fine", "a=prompted"):
        with pytest.raises(ValueError, match=r"METHOD|CLIPSeg"):
            Settings.model_validate({"segment_prefixes": rules})
    rules = "=regions, a/=dense"
    assert Settings.model_validate({"segment_prefixes": rules}).segmented("a/b") == "dense"
    with pytest.raises(ValueError, match="not a multiple"):
        Settings(segment_map=10, segment_grids=(4, 8))
    again = Settings.model_validate({"segment_grids": "2,4", "segment_map": "8", "segment_prefixes": rules})
    variables = {name.removeprefix("WILDTAG_").lower(): value for name, value in again.environment().items()}
    assert Settings.model_validate(variables) == again
