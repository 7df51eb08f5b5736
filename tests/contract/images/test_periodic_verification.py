"""The dispatcher verifies the index of images by itself, in short steps, and at once after a gap in the feed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.contract.images.verification_world import World
from workers.images.findings import StoredStanding
from workers.images.follower import Follower
from workers.images.periodic_verification import AGAIN_S, FIRST_S, PeriodicVerification
from workers.lifecycle.ledger import Ledger
from workers.redis.connection import Client
from workers.redis.keys import Keys

EVERY_S = 3600.0


@dataclass
class Clock:
    """Advances by hand, and by what is really waited."""

    offset: float = field(default_factory=lambda: 100.0 - time.monotonic())

    def __call__(self) -> float:
        return time.monotonic() + self.offset


@pytest.fixture
def world(client: Client, keys: Keys, tmp_path: Path) -> Iterator[World]:
    made = World(client, keys, tmp_path)
    yield made
    made.open_images.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def standing(client: Client, keys: Keys) -> StoredStanding:
    return StoredStanding(client, keys)


@pytest.fixture
def periodic(world: World, clock: Clock, standing: StoredStanding) -> PeriodicVerification:
    world.monotonic = clock
    return PeriodicVerification(
        world.verifier(), world.begin, world.versions.busy, standing, EVERY_S, lambda: world.now, clock
    )


def until_it_rests(periodic: PeriodicVerification, clock: Clock) -> float:
    """Step until the pass is over; returns the longest step in seconds."""
    longest = 0.0
    for _ in range(500):
        began = time.monotonic()
        periodic.step()
        longest = max(longest, time.monotonic() - began)
        if not periodic.running:
            return longest
        clock.offset += 1
    raise AssertionError("the pass does not end")


def test_a_first_pass_fills_the_index_soon_after_the_start(
    world: World, clock: Clock, standing: StoredStanding, periodic: PeriodicVerification
) -> None:
    for n in range(10):
        world.tag(world.image(f"{n}.png"), "cat")
    periodic.step()
    assert not periodic.running
    clock.offset += FIRST_S
    until_it_rests(periodic, clock)
    assert world.held() == world.wanted()
    last = standing.read()
    assert last is not None
    assert (last.indexed, last.records, last.faults["missing"], last.unreadable) == (10, 10, 10, 0)


def test_the_next_pass_comes_after_the_period(
    world: World, clock: Clock, standing: StoredStanding, periodic: PeriodicVerification
) -> None:
    world.tagged("a.png", "cat")
    clock.offset += FIRST_S
    periodic.step()
    until_it_rests(periodic, clock)
    world.index.remove([one.id for one in world.index.facts_after(-1, 10)])
    clock.offset += EVERY_S / 2
    periodic.step()
    assert world.held() == {}
    clock.offset += EVERY_S / 2
    periodic.step()
    until_it_rests(periodic, clock)
    assert world.held() == world.wanted()
    last = standing.read()
    assert last is not None
    assert last.faults["missing"] == 1


def test_no_step_is_long_and_none_waits_for_workers_that_are_away(
    world: World, clock: Clock, periodic: PeriodicVerification
) -> None:
    for n in range(5):
        world.tag(world.image(f"{n}.png"), "cat")
    clock.offset += FIRST_S
    world.workers.away = True
    steps = []
    for _ in range(10):
        began = time.monotonic()
        periodic.step()
        steps.append(time.monotonic() - began)
    assert max(steps) < 0.3, "0.15 s, and what a loaded machine adds"
    clock.offset += 61  # nobody answers: the pass is given up
    periodic.step()
    assert not periodic.running
    world.workers.away = False
    clock.offset += AGAIN_S
    periodic.step()
    until_it_rests(periodic, clock)
    assert world.held() == world.wanted()


def test_steps_are_rare_while_images_are_tagged(world: World, clock: Clock, periodic: PeriodicVerification) -> None:
    world.enter(world.image("new.png"))
    clock.offset += FIRST_S
    periodic.step()
    asked = len(world.workers.sent)
    for _ in range(5):
        periodic.step()
    assert len(world.workers.sent) == asked


def test_a_gap_in_the_feed_begins_a_pass(
    world: World, client: Client, keys: Keys, clock: Clock, periodic: PeriodicVerification
) -> None:
    world.ledger = Ledger(client, keys, 5)
    follower = Follower(world.records, world.workers, client, keys, "colours", periodic.hasten)
    world.tagged("first.png", "cat")
    follower.step()
    clock.offset += FIRST_S
    periodic.step()
    until_it_rests(periodic, clock)
    refs = [world.tagged(f"{n}.png", "cat") for n in range(300)]  # the feed is trimmed in whole blocks
    world.ledger.remove([ref.id for ref in refs[:100]])
    for ref in refs[100:]:
        world.tag(ref, "dog")
    follower.step()
    assert len(world.records.feed_page("0", 1000)) < 300
    periodic.step()
    until_it_rests(periodic, clock)
    assert world.held() == world.wanted()
