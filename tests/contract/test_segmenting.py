"""Segmenting objects beside the stages: who is segmented, when, and what is kept of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.cache import LRUCache
from tasks.messages import Batch
from tests.unit.segmentation.world import BLUE, CHOICES, RED, SPACE, Colours, Texts, halves, pipeline
from vectordb.index import IndexMissing
from workers.connection import Client
from workers.events.event import ObjectEvent
from workers.publishing import Publisher
from workers.record import Record
from workers.settings import SEGMENTATION, STAGES, Settings
from workers.stages import Stages
from workers.stores.store import StoreAway
from workers.wiring import Wiring


class Queues(Publisher):
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Batch, int]] = []
        self.probed: list[str] = []

    def send(self, stage: str, batch: Batch, *, pause: float = 0.0, retries: int = 0) -> None:  # noqa: ARG002 -- not waited
        self.sent.append((stage, batch, retries))

    def probe(self, stage: str, lifetime: float) -> None:  # noqa: ARG002 -- not waited
        self.probed.append(stage)


class Versions:
    """Captions that may be dropped."""

    def __init__(self) -> None:
        self.dropped: set[str] = set()

    def open(self, version: str) -> Any:
        if version in self.dropped:
            raise IndexMissing(version)
        return pipeline().index

    def release(self, version: str) -> None:
        pass


@dataclass
class World:
    """One process with everything from the inbox to the record, in a world of colours. ``now``: Unix seconds."""

    settings: Settings
    now: float = 1_800_000_000.0
    versions: Versions = field(default_factory=Versions)

    def __post_init__(self) -> None:
        wiring: Any = Wiring(self.settings, lambda: self.now)
        self.wiring = wiring
        self.version = "captions@1"
        self.queues = self.wiring.publisher = Queues()
        self.wiring.space, self.wiring.image_encoder, self.wiring.text_encoder = SPACE, Colours(), Texts()
        self.wiring.chosen, self.wiring.typical, self.wiring.indexes = lambda: self.version, None, self.versions
        self.wiring.choices, self.wiring.cache = CHOICES, LRUCache(1000)
        self.stages = Stages(self.wiring)
        self.dispatcher, self.keeper = self.wiring.dispatcher("me"), self.wiring.keeper()
        for inbox in (self.wiring.inbox, self.wiring.later, self.wiring.segments):
            inbox.prepare()

    def put(self, key: str, image: Image.Image | bytes | None = None) -> str:
        """An object with what is told of it; gives its etag."""
        file = io.BytesIO(image) if isinstance(image, bytes) else io.BytesIO()
        if not isinstance(image, bytes):
            (image or halves(RED, BLUE)).save(file, "PNG")
            file.seek(0)
        info = self.wiring.store.put("inbox", key, file)
        self.wiring.inbox.append([ObjectEvent.seen(info)])
        return str(info.ref.etag)

    def wish(self, key: str, way: str = "dense") -> None:
        self.wiring.wishes.ask([f"inbox/{key}"], way)

    def again(self, key: str) -> None:
        self.wiring.inbox.append([ObjectEvent("created", "inbox", key, force=True)])

    def remove(self, key: str) -> None:
        self.wiring.store.remove("inbox", key)
        self.wiring.inbox.append([ObjectEvent("removed", "inbox", key)])

    def settle(self, until: Callable[[], bool] = lambda: False) -> None:
        """Work until nothing is to be done at once, or a condition holds."""
        for _ in range(200):
            self.now += 0.01
            self.dispatcher.step(1)
            if until():
                return
            if not self.queues.sent and not self.wiring.inbox.length() and not self.wiring.segments.length():
                return
            while self.queues.sent and not until():
                stage, batch, retries = self.queues.sent.pop(0)
                self.stages.run(stage, batch.encode(), retries)
        raise AssertionError("it goes on for ever")

    def record(self, key: str) -> Record:
        found: list[Record | None] = self.wiring.records.get([f"inbox/{key}"])
        assert found[0] is not None
        return found[0]

    def pictures(self) -> list[str]:
        """The files under the output prefix."""
        root = self.settings.inbox_folder / ".wildtag"
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


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
    world.wish("a.png")
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
    assert world.pictures() == PICTURES
    assert drawn.pictures is not None
    label_map = np.asarray(Image.open(world.settings.inbox_folder / drawn.pictures.label_map))
    assert label_map.shape == (128, 128)
    assert [drawn.labels[value].label for value in label_map[64, [5, 120]]] == ["cat", "bridge"]
    assert world.wiring.wishes.of(["inbox/a.png"]) == [""]


def test_the_settings_say_which_prefixes_are_segmented(world: World) -> None:
    world.put("drawn/a.png")
    world.put("drawn/not/a.png")
    world.put("elsewhere/a.png")
    world.settle()
    ways = [world.record(f"{name}/a.png").way for name in ("drawn", "drawn/not", "elsewhere")]
    assert ways == ["dense", "regions", ""]


def test_a_wish_says_more_than_a_prefix(world: World) -> None:
    world.wish("drawn/a.png", "none")
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
    assert world.wiring.segments.length() == 4
    assert "plain.png" in [ref.key for stage, batch, _ in world.queues.sent for ref in batch.objects]
    world.settle()
    assert all(world.record(f"drawn/{number}.png").way for number in range(6))
    assert world.wiring.ledger.segmenting() == world.wiring.ledger.in_flight() == 0


def test_a_wish_that_comes_while_the_object_is_on_its_way_is_heard(world: World) -> None:
    """In whichever stage it is: what has its tags is not written before it is drawn."""
    for number, stage in enumerate(STAGES):
        key = f"{number}.png"
        world.put(key)
        world.settle(lambda stage=stage: any(sent == stage for sent, *_ in world.queues.sent))  # type: ignore[misc]
        world.wish(key)
        world.wiring.inbox.append([ObjectEvent("created", "inbox", key)])
        world.dispatcher.step(1)
        world.dispatcher.step(1)
        world.settle()
        assert world.record(key).way == "dense"


def test_a_wish_for_a_finished_object_gives_it_another_record(world: World) -> None:
    world.put("a.png")
    world.settle()
    before = world.record("a.png")
    world.wish("a.png", "regions")
    world.wiring.inbox.append([ObjectEvent("created", "inbox", "a.png")])
    world.settle()
    assert world.record("a.png").way == "regions"
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
    world.wish("a.png")
    world.put("a.png")
    world.settle()
    before = world.record("a.png")
    world.again("a.png")
    world.settle()
    assert world.record("a.png").way == "dense"
    assert world.record("a.png").finished_at > before.finished_at
    world.wish("a.png", "none")
    world.again("a.png")
    world.settle()
    assert world.record("a.png").segmentation is None


def test_another_version_is_not_segmented_because_the_last_one_was(world: World) -> None:
    world.wish("a.png")
    world.put("a.png")
    world.settle()
    world.put("a.png", halves(BLUE, RED))
    world.settle()
    assert world.record("a.png").segmentation is None
    world.remove("a.png")
    world.settle()
    assert world.pictures() == []


def test_pictures_go_with_their_object(world: World) -> None:
    for key in ("a.png", "drawn/b.png"):
        world.wish(key)
        world.put(key)
    world.settle()
    assert len(world.pictures()) == 4
    world.remove("a.png")
    world.remove("drawn/b.png")
    world.settle()
    assert world.pictures() == []
    assert list(world.wiring.records.latest()) == []


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
    assert world.pictures() == []
    assert world.wiring.ledger.in_flight() == world.wiring.ledger.segmenting() == 0


def test_an_object_that_goes_after_it_was_fetched_leaves_no_pictures(world: World) -> None:
    world.put("drawn/a.png")
    world.settle(lambda: any(stage == SEGMENTATION for stage, *_ in world.queues.sent))
    keep, pictures = world.wiring.pictures.keep, world.wiring.pictures

    def meanwhile(*given: Any) -> Any:
        pictures.keep = keep
        world.remove("drawn/a.png")
        world.dispatcher.step(1)
        return keep(*given)

    pictures.keep = meanwhile
    world.settle()
    assert world.pictures() == []
    assert list(world.wiring.records.latest()) == []


def test_pictures_of_an_older_version_that_come_late_are_drawn_anew(world: World) -> None:
    world.put("drawn/a.png")
    world.settle(lambda: any(stage == SEGMENTATION for stage, *_ in world.queues.sent))
    late = world.queues.sent.pop()
    keep, pictures = world.wiring.pictures.keep, world.wiring.pictures

    def meanwhile(*given: Any) -> Any:
        pictures.keep = keep
        world.put("drawn/a.png", halves(BLUE, RED))
        world.settle()
        return keep(*given)

    pictures.keep = meanwhile
    world.stages.run(late[0], late[1].encode(), 0)
    world.settle()
    drawn = world.record("drawn/a.png").segmentation
    assert drawn is not None
    assert drawn.pictures is not None
    label_map = np.asarray(Image.open(world.settings.inbox_folder / drawn.pictures.label_map))
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
    world.wish("a.png", "prompted")
    world.put("a.png")
    world.settle()
    drawn = world.record("a.png").segmentation
    assert drawn is not None
    assert drawn.error is not None
    assert drawn.error.code == "no-such-way"


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
    assert (found.captions_version, found.way) == ("captions@2", "dense")


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
    assert world.record("drawn/a.png").way == "dense"
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
    assert world.record("drawn/a.png").way == "dense"


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


def test_long_work_pushes_its_deadline_on(world: World) -> None:
    world.put("drawn/a.png")
    world.settle(lambda: any(stage == SEGMENTATION for stage, *_ in world.queues.sent))
    encode = world.wiring.image_encoder.encode

    def slow(images: Any) -> Any:
        world.now += 50
        assert world.wiring.ledger.overdue(world.now, world.now) == []
        return encode(images)

    world.wiring.image_encoder.encode = slow
    world.settle()
    assert world.record("drawn/a.png").way == "dense"


def test_keys_that_are_no_names_for_pictures_get_others(world: World) -> None:
    pictures = world.wiring.pictures
    odd = ["x" * 240, "a.labels.png/b", "/".join(["y" * 100] * 10), "ü" * 120]
    made = [pictures.of(key).label_map for key in odd]
    assert len(set(made)) == len(odd)
    assert all(len(name.encode()) < 1024 and len(name.rpartition("/")[2].encode()) < 255 for name in made)


def test_settings_refuse_rules_that_are_none() -> None:
    for rules in ("photos/", "photos/=fine", "a=prompted"):
        with pytest.raises(ValueError, match=r"WAY|CLIPSeg"):
            Settings.model_validate({"segment_prefixes": rules})
    rules = "=regions, a/=dense"
    assert Settings.model_validate({"segment_prefixes": rules}).segmented("a/b") == "dense"
    with pytest.raises(ValueError, match="divides"):
        Settings(segment_map=10, segment_grids=(4, 8))
    again = Settings.model_validate({"segment_grids": "2,4", "segment_map": "8", "segment_prefixes": rules})
    told = {name.removeprefix("WILDTAG_").lower(): value for name, value in again.environment().items()}
    assert Settings.model_validate(told) == again
