"""Artifacts that Redis does not know, or no record names, are used again, or removed by a pass over the bucket."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.segmentation.drawing_world import make as make  # noqa: PLC0414 -- a fixture
from tests.contract.segmenting_world import World
from tests.unit.segmentation.world import BLUE, RED, halves
from workers.segmentation.stray_artifacts import YOUNG_S
from workers.wiring.dispatch import sweeper

LONG = "/".join(["x" * 100] * 9) + ".png"  # its artifacts are named by a digest


@pytest.fixture
def world(make: Callable[..., World]) -> World:
    return make(segment_prefixes=("drawn/=dense",))


def swept(world: World) -> None:
    sweep = sweeper(world.wiring, resume=False, confirmed=True)
    while not sweep.step(60):
        pass
    world.settle()


def drawn(world: World, key: str, method: str = "dense") -> None:
    world.request_segmentation(key, method)
    world.put(key)
    world.settle()


def lost(world: World) -> None:
    """All keys of Redis."""
    world.wiring.redis.flushall()
    world.wiring.layout.require()
    for inbox in (world.wiring.inbox, world.wiring.low_priority_inbox):
        inbox.prepare()


def methods(world: World) -> dict[str, str]:
    return {record.key: record.segmentation_method for record in world.wiring.records.latest()}


@pytest.mark.parametrize("partitions", [1, pytest.param(2, marks=pytest.mark.long)])
def test_what_was_segmented_before_a_loss_is_segmented_again_as_it_was(
    make: Callable[..., World], partitions: int
) -> None:
    world = make(segment_prefixes=("drawn/=dense",), partitions=partitions, key_prefix="{test}:")
    lost(world)
    wanted = {"a.png": "regions", "sub/b.png": "dense", LONG: "regions", "drawn/c.png": "dense"}
    for key, method in wanted.items():
        if key.startswith("drawn/"):
            world.put(key)
            world.settle()
        else:
            drawn(world, key, method)
    world.put("tags only.png")
    world.settle()
    before = world.artifacts()
    assert len(before) == 8
    lost(world)
    swept(world)
    assert methods(world) == {**wanted, "tags only.png": ""}
    assert world.artifacts() == before
    words = world.final()
    swept(world)
    assert world.final() == words, "one pass is enough"
    for key in wanted:
        world.remove(key)
    world.settle()
    assert world.artifacts() == [], "they are removed with their objects again"


def test_records_that_were_made_before_the_pass_are_made_again_with_their_segmentation(world: World) -> None:
    drawn(world, "a.png", "regions")
    lost(world)
    world.again("a.png")  # any event
    world.settle()
    assert methods(world) == {"a.png": ""}
    swept(world)
    assert methods(world) == {"a.png": "regions"}


def test_who_wants_it_otherwise_after_the_loss_is_not_overruled(world: World) -> None:
    drawn(world, "a.png", "regions")
    lost(world)
    world.request_segmentation("a.png", "none")
    swept(world)
    assert methods(world) == {"a.png": ""}
    swept(world)
    assert world.artifacts() == []


def test_artifacts_of_an_older_version_are_removed(world: World) -> None:
    drawn(world, "a.png")
    world.put("a.png", halves(BLUE, RED))
    world.settle()
    assert len(world.artifacts()) == 2, "they show another picture"
    swept(world)
    assert world.artifacts() == []
    assert methods(world) == {"a.png": ""}


def test_artifacts_of_records_that_redis_does_not_list_are_listed(world: World) -> None:
    drawn(world, "a.png")
    world.wiring.redis.delete(world.wiring.keys.artifacts)
    swept(world)
    assert world.wiring.artifacts.listed(["inbox/a.png"]) == [True]
    assert methods(world) == {"a.png": "dense"}


def test_those_of_objects_that_are_gone_stay_for_a_day_because_the_bucket_may_be_being_restored(world: World) -> None:
    drawn(world, "a.png")
    drawn(world, LONG)
    lost(world)
    images = [world.settings.inbox_folder / key for key in ("a.png", LONG)]
    kept = images[0].read_bytes()
    for image in images:
        image.unlink()
    files = [world.settings.inbox_folder / ".wildtag" / name for name in world.artifacts()]
    assert len(files) == 4
    for file in files:
        os.utime(file, (world.now, world.now))
    swept(world)
    assert len(world.artifacts()) == 4
    images[0].write_bytes(kept)
    world.now += YOUNG_S + 60
    swept(world)
    assert methods(world) == {"a.png": "dense"}
    assert world.artifacts() == ["segments/a.png.labels.png", "segments/a.png.overlay.jpg"]


def test_a_file_that_is_no_label_map_is_left_alone(world: World) -> None:
    folder: Path = world.settings.inbox_folder / ".wildtag" / "segments"
    folder.mkdir(parents=True)
    for name in ("notes.txt", f"{hashlib.sha256(b'x').hexdigest()}.labels.png", ".labels.png"):
        (folder / name).write_bytes(b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffiTXt")
        os.utime(folder / name, (0, 0))
    swept(world)
    assert len(list(folder.iterdir())) == 3


def test_an_unknown_method_is_that_of_the_settings(world: World) -> None:
    drawn(world, "a.png", "regions")
    file = world.settings.inbox_folder / ".wildtag" / "segments" / "a.png.labels.png"
    file.write_bytes(file.read_bytes().replace(b"regions", b"unknown"))
    lost(world)
    swept(world)
    assert methods(world) == {"a.png": "dense"}
