"""Objects of low priority in flight: as many as are finished in half a second, two batches at least."""

from __future__ import annotations

import pytest

from workers.dispatch.low_priority import AHEAD_S, KNOWN_AT_ONCE, SAMPLE_S, STALE_S, Window

BATCH, MOST = 16, 256


class Stages:
    """What is in flight behind a window, and finishes ``rate`` objects a second of a made clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.in_flight = 0.0
        self.read: list[int] = []
        self.window = Window(BATCH, MOST, lambda: self.now)

    def work(self, seconds: float, rate: float) -> None:
        """Fill the window as the dispatcher does, again and again."""
        until = self.now + seconds
        while self.now < until:
            while room := self.window.room(round(self.in_flight)):
                self.read.append(room)
                self.window.add(room)
                self.in_flight += room
            self.now += 0.02
            self.in_flight = max(0.0, self.in_flight - rate * 0.02)


def test_at_first_two_batches_are_sent(stages: Stages) -> None:
    stages.work(0.02, rate=0)
    assert stages.read == [BATCH, BATCH]


@pytest.mark.parametrize("rate", [5, 20, 60])
def test_behind_an_encoder_it_stays_at_two_batches(stages: Stages, rate: float) -> None:
    stages.work(20, rate)
    assert stages.in_flight <= 3 * BATCH
    assert set(stages.read) == {BATCH}


def test_where_images_are_finished_fast_more_are_sent_in_larger_batches(stages: Stages) -> None:
    stages.work(20, rate=300)
    assert 0.5 * AHEAD_S * 300 < stages.in_flight < 2 * AHEAD_S * 300
    assert BATCH < stages.read[-1] <= BATCH * KNOWN_AT_ONCE


def test_never_more_than_the_limit_and_a_batch_are_in_flight(stages: Stages) -> None:
    stages.work(20, rate=5000)
    assert MOST / 2 <= stages.in_flight <= MOST + BATCH * KNOWN_AT_ONCE
    assert stages.read[-1] == BATCH * KNOWN_AT_ONCE


def test_when_the_stages_slow_down_fewer_are_sent(stages: Stages) -> None:
    stages.work(20, rate=500)
    stages.work(20, rate=20)
    assert stages.in_flight <= 3 * BATCH


def test_a_rate_of_long_ago_says_nothing(stages: Stages) -> None:
    stages.work(20, rate=500)
    stages.in_flight, stages.read = 0, []
    stages.now += STALE_S + 1
    stages.work(SAMPLE_S / 2, rate=0)
    assert stages.read == [BATCH, BATCH]


@pytest.fixture
def stages() -> Stages:
    return Stages()
