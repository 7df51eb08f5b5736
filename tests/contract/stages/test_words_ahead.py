"""Words that were encoded ahead are those that images need, and give them the same tags."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tasks.cache import LayeredCache, LRUCache
from tasks.message_parts import Floats
from tests.contract.images.images_world import ImagesWorld
from tests.eventually import eventually
from tests.unit.segmentation.world import BLUE, GREEN, RED, Texts, pipeline
from workers.captions.word_store import WordsFirst
from workers.redis.connection import Client
from workers.redis.words_progress import WordsProgressBoard
from workers.settings.settings import Settings
from workers.stages.words_ahead import LOOK_S, QUIET_S, REST_S, WordsAhead
from workers.wiring.stages import stage_worker
from workers.wiring.words import words_ahead

CAPTIONS = (
    "tabby, a kind of cat", "tabby-cat, a kind of cat", "bridge, a kind of structure",
    "toll bridge, a kind of bridge", "banana, a kind of fruit", "ripe banana, a kind of banana",
)  # fmt: skip


class Counting(Texts):
    """Remembers what it encoded."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str]) -> Floats:
        self.encoded += texts
        return super().encode(texts)


@pytest.fixture
def world(redis_url: str, client: Client, tmp_path: Path) -> Iterator[ImagesWorld]:  # noqa: ARG001 -- empties Redis
    (tmp_path / "inbox").mkdir()
    made = ImagesWorld(Settings(redis_url=redis_url, key_prefix="test:", home=tmp_path))
    versions: Any = made.versions
    versions.open = lambda _: pipeline(CAPTIONS).index
    wiring: Any = made.wiring
    wiring.text_encoder = Counting()
    wiring.cache = LayeredCache(LRUCache(0), WordsFirst(wiring.word_store))  # nothing else is remembered
    yield made
    wiring.images.close()


def test_an_image_finds_its_words_known(world: ImagesWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.stages.words_ahead.QUIET_S", 0.0)
    encoder: Any = world.wiring.text_encoder
    colours = (RED, BLUE, GREEN)
    first = [world.record(key).tags for key in world.shown(colours, "first")]
    assert encoder.encoded
    ahead = words_ahead(world.wiring, encoder)
    assert ahead is not None
    for _ in range(100):
        if ahead.step() == REST_S:
            break
    else:
        raise AssertionError("it does not end")
    board = WordsProgressBoard(world.wiring.redis, world.wiring.keys).read()
    assert board is not None
    assert board.finished
    assert str(board) == "all words of captions@1 are encoded"
    encoder.encoded.clear()
    second = [world.record(key).tags for key in world.shown(colours, "second")]
    assert encoder.encoded == []
    assert second == first
    assert all(tags for tags in first)


def test_objects_in_progress_come_first(world: ImagesWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.stages.words_ahead.QUIET_S", 0.0)
    encoder: Any = world.wiring.text_encoder
    ahead = words_ahead(world.wiring, encoder)
    assert ahead is not None
    world.put("cat.png")
    world.dispatcher.step(1)  # it waits for embedding
    monkeypatch.setattr("workers.stages.words_ahead.QUIET_S", 0.01)
    for _ in range(5):
        ahead.step()
    assert encoder.encoded == []


def test_an_object_that_was_finished_between_two_looks_counts_as_well(
    world: ImagesWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder: Any = world.wiring.text_encoder
    ahead = words_ahead(world.wiring, encoder)
    assert ahead is not None
    assert ahead.step() == LOOK_S
    now = time.monotonic()
    monkeypatch.setattr(ahead, "_clock", lambda: now)
    world.shown((RED,), "image")
    now += 2 * QUIET_S
    encoder.encoded.clear()
    assert ahead.step() == LOOK_S
    now += QUIET_S
    while not encoder.encoded:
        assert ahead.step() < LOOK_S


def test_the_setting_and_a_profile_that_must_parse_switch_it_off(world: ImagesWorld) -> None:
    wiring: Any = world.wiring
    wiring.settings = world.settings.model_copy(update={"words_ahead": False})
    assert words_ahead(wiring, wiring.text_encoder) is None


def test_a_worker_starts_it_once_its_models_are_loaded(world: ImagesWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[WordsAhead] = []

    def start(self: WordsAhead) -> None:
        started.append(self)

    monkeypatch.setattr(WordsAhead, "start", start)
    worker = stage_worker(world.wiring)
    worker.warm("extraction")
    assert not started
    worker.warm("scoring")
    worker.warm("scoring")  # idle workers are probed every minute
    assert len(started) == 1


def test_its_thread_encodes_everything(world: ImagesWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.stages.words_ahead.QUIET_S", 0.0)
    wiring: Any = world.wiring
    ahead = words_ahead(wiring, wiring.text_encoder)
    assert ahead is not None
    ahead.start()
    board = WordsProgressBoard(wiring.redis, wiring.keys)
    eventually(lambda: (found := board.read()) is not None and found.finished)
    assert "toll bridge" in wiring.text_encoder.encoded
