"""Segmenting objects beside the stages: who is segmented, when, and what is kept of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.contract.segmenting_world import World
from tests.contract.sweeping import swept
from tests.eventually import eventually
from tests.unit.segmentation.world import BLUE, RED, halves
from workers.dispatch.object_batches import Batches
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.progress import ProgressReader
from workers.redis.connection import Client
from workers.segmentation.keepalive import keepalive
from workers.settings.settings import SEGMENTATION, STAGES, Settings
from workers.stores.store import ObjectForbidden, StoreAway


@pytest.fixture
def make(redis_url: str, client: Client, tmp_path: Path) -> Callable[..., World]:  # noqa: ARG001 -- empties Redis
    (tmp_path / "inbox").mkdir()

    def made(**settings: object) -> World:
        given = {
            "redis_url": redis_url, "key_prefix": "test:", "home": tmp_path, "segment_grids": (2, 4),
            "qdrant_url": "http://127.0.0.1:1", "segment_map": 8, "segmenting_max": 2, **settings,
        }  # fmt: skip
        return World(Settings(**given))  # type: ignore[arg-type]  # a test names what it gives

    return made


@pytest.fixture
def world(make: Callable[..., World]) -> World:
    return make(segment_prefixes=("drawn/=dense", "drawn/not/=regions"))


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


# -- what must not happen


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
    world.wiring.ledger.postpone(batch.objects, batch.revision, world.now + 30, "HEAD and GET disagree")
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
