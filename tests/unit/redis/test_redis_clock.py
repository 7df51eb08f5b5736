"""The time of Redis: hosts whose clock is wrong, or jumps, see the same time as all others."""

from __future__ import annotations

import time

import pytest

from tests.eventually import eventually
from vectordb.errors import Transient
from workers.redis.redis_clock import FRESH_S, OFF_FROM_S, STALE_S, RedisClock, off, steady

NOW = 1_800_000_000.0
HOUR = 3600.0


class World:
    """A Redis and a host, whose clocks the test sets."""

    def __init__(self, ahead: float) -> None:
        self.elapsed, self.ahead, self.redis_jumped, self.asked, self.away = 0.0, ahead, 0.0, 0, False

    @property
    def redis(self) -> float:
        return NOW + self.elapsed + self.redis_jumped

    def read(self) -> float:
        self.asked += 1
        if self.away:
            raise Transient("away")
        return self.redis

    def clock(self, *, beside: bool = False) -> RedisClock:
        return RedisClock(self.read, lambda: NOW + self.elapsed + self.ahead, lambda: self.elapsed, beside=beside)


@pytest.mark.parametrize("ahead", [-5 * HOUR, -600.0, 0.0, 600.0, 5 * HOUR])
def test_it_is_that_of_redis_whatever_the_host_says(ahead: float) -> None:
    world = World(ahead)
    clock = world.clock()
    for passed in (0.0, 3.0, FRESH_S, STALE_S, HOUR):
        world.elapsed += passed
        assert clock() == pytest.approx(world.redis)
        assert clock.offset() == pytest.approx(ahead)


def test_a_jump_of_the_hosts_clock_changes_nothing_and_one_of_redis_is_followed() -> None:
    world = World(0.0)
    clock = world.clock()
    assert clock() == world.redis
    world.ahead = HOUR
    world.elapsed += 1
    assert clock() == world.redis
    world.redis_jumped = -HOUR
    world.elapsed += FRESH_S
    assert clock() == world.redis


def test_a_clock_that_only_grows_and_yet_goes_back_is_noticed() -> None:
    world = World(0.0)
    clock = world.clock(beside=True)
    world.elapsed = HOUR
    assert clock() == world.redis
    world.elapsed = 10.0
    assert clock() == world.redis


def test_redis_is_asked_seldom_also_while_it_does_not_answer() -> None:
    world = World(600.0)
    clock = world.clock()
    for _ in range(100):
        clock()
        world.elapsed += FRESH_S / 50
    assert world.asked <= 3
    world.away = True
    asked, begun = world.asked, clock()
    for _ in range(100):
        world.elapsed += 0.25
        assert clock() == pytest.approx(world.redis)  # by what was known
    assert world.asked - asked <= 26
    assert begun < clock()


def test_before_redis_has_answered_it_is_the_hosts_own() -> None:
    world = World(600.0)
    world.away = True
    clock = world.clock()
    assert clock() == NOW + 600
    world.away = False
    world.elapsed += 2
    assert clock() == world.redis


def test_it_is_read_again_beside_the_work() -> None:
    world = World(0.0)
    clock = world.clock(beside=True)
    clock()
    world.elapsed += FRESH_S + 1
    world.redis_jumped = 30
    clock()
    eventually(lambda: clock() == world.redis)


def test_the_elapsed_time_is_not_the_clock() -> None:
    assert steady() != time.time()
    assert steady() <= steady()


def test_only_noticeable_differences_are_named() -> None:
    assert off([("a", OFF_FROM_S - 1), ("b", 0.0)]) == []
    behind, ahead = off([("x", 600.0), ("b", -600.0), ("x", 600.0)])
    assert "the clock of b is 600 s behind" in behind
    assert "the clock of x is 600 s ahead" in ahead
