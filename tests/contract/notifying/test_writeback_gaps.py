"""A writer that missed a part of the feed walks through all records."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.notifying.writeback_world import World
from tests.contract.notifying.writeback_world import tagging as tagging  # noqa: PLC0414 -- a fixture
from workers.notifying.writeback import GAPS, PAGE
from workers.redis.connection import Client
from workers.redis.keys import Keys


def cut(client: Client, keys: Keys, left: int) -> None:
    """Cut the feed as finishing many objects does, exactly."""
    client.xtrim(keys.feed, maxlen=left, approximate=False)


@pytest.fixture
def exact(client: Client) -> None:
    """A Redis that says whether it has cut a stream; with an older one a first writer takes it for granted."""
    version = str(client.info("server")["redis_version"])
    if int(version.partition(".")[0]) < 7:
        pytest.skip(f"this is Redis {version}")


def gaps(world: World) -> int:
    return world.event_sink.counts().get(GAPS, 0)


@pytest.mark.usefixtures("exact")
def test_a_writer_that_was_away_for_longer_than_the_feed_remembers_writes_all(
    tagging: World, client: Client, keys: Keys
) -> None:
    names = [f"{number:03}.jpg" for number in range(2 * PAGE + 5)]
    tagging.finish(names[0], "cat")
    tagging.writer.step(10)
    for name in names[1:]:
        tagging.finish(name, "cat")
    cut(client, keys, 3)
    assert tagging.writer.step(10) == 3
    assert gaps(tagging) == 1
    tagging.writer.step(10)
    tagging.another().step(10)  # one that takes its place goes on with it
    assert set(tagging.store.kept) < set(names)
    tagging.another().step(10)
    assert set(tagging.store.kept) == set(names)
    assert tagging.store.sets == len(names), "what has its tags already is left alone"
    assert not client.exists(keys.catching_up)
    tagging.writer.step(10)
    assert gaps(tagging) == 1, "the gap is over"


@pytest.mark.usefixtures("exact")
def test_a_feed_that_forgot_only_what_was_written_has_no_gap(tagging: World, client: Client, keys: Keys) -> None:
    for name in "abcd":
        tagging.finish(name, "cat")
    tagging.writer.step(10)
    tagging.finish("e", "cat")
    cut(client, keys, 2)
    assert tagging.writer.step(10) == 1
    assert gaps(tagging) == 0


def test_a_first_writer_finds_what_was_tagged_before_it(client: Client, keys: Keys, tmp_path: Path) -> None:
    world = World(client, keys, tmp_path, "sidecar")
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        world.finish(name, "cat")
    cut(client, keys, 1)
    for _ in range(2):
        world.writer.step(10)
    assert gaps(world) == 1
    assert {file.name for file in (tmp_path / ".wildtag").iterdir()} == {"a.jpg.json", "b.jpg.json", "c.jpg.json"}


@pytest.mark.usefixtures("exact")
def test_what_was_read_and_forgotten_before_it_was_written_is_written(
    tagging: World, client: Client, keys: Keys
) -> None:
    for name in "abc":
        tagging.finish(name, "cat")
    tagging.store.away = True
    tagging.writer.step(10)
    cut(client, keys, 1)
    tagging.store.away = False
    assert tagging.writer.recover(idle_ms=0) == 1
    assert gaps(tagging) == 1
    tagging.writer.step(10)
    assert set(tagging.store.kept) == set("abc")


def test_a_walk_waits_for_the_store_and_goes_on_where_it_was(tagging: World, client: Client, keys: Keys) -> None:
    for name in "abcd":
        tagging.finish(name, "cat")
    cut(client, keys, 1)
    tagging.writer.step(10)
    tagging.store.away = True
    tagging.writer.step(10)
    assert client.exists(keys.catching_up)
    tagging.store.away = False
    tagging.writer.step(10)
    assert set(tagging.store.kept) == set("abcd")


def test_another_gap_during_a_walk_leads_to_another_walk_and_not_to_an_endless_one(
    tagging: World, client: Client, keys: Keys
) -> None:
    for number in range(3 * PAGE + 2):
        tagging.finish(f"k{number:03}", "cat")
    cut(client, keys, 1)
    tagging.writer.step(10)
    tagging.writer.step(10)  # the first page
    for _ in range(2):
        for name in ("a", "b"):  # before the place where the walk is
            tagging.finish(name, "dog")
        cut(client, keys, 1)
        tagging.writer.step(10)
    assert gaps(tagging) == 2
    for _ in range(6):
        tagging.writer.step(10)
    assert len(tagging.store.kept) == 3 * PAGE + 4
    assert not client.exists(keys.catching_up)
