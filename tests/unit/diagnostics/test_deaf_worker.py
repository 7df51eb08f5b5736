"""When a worker counts as deaf, and when it waits, works or was suspended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from vectordb.errors import Transient
from workers.broker.consumer import Activity
from workers.diagnostics.deaf_worker import DeafWorkerWatch, Pace, Surroundings, watching


@dataclass
class World:
    """A worker, its broker and the time, which goes on in steps of 10 s."""

    now: float = 0.0
    ready: int = 0
    busy: bool = False
    stopping: bool = False
    away: bool = False
    turns: bool = True
    activity: Activity = field(default_factory=Activity)

    def __post_init__(self) -> None:
        around = Surroundings(lambda: self.busy, lambda: self.stopping, [self._reach], lambda: self.ready)
        self.watch = DeafWorkerWatch(self.activity, around, lambda: self.now)

    def _reach(self) -> None:
        if self.away:
            raise Transient("away")

    def goes_on(self, steps: int, each: Callable[[], object] = lambda: None, step_s: float = 10.0) -> list[str]:
        """The reasons to end that it gives."""
        found = []
        for _ in range(steps):
            self.now += step_s
            if self.turns:
                self.activity.turned_at = self.now
            each()
            if reason := self.watch.step():
                found.append(reason)
        return found

    def takes(self) -> None:
        self.activity.taken += 1


def test_messages_are_ready_for_a_minute_and_it_takes_none() -> None:
    world = World(ready=3)
    assert world.goes_on(6) == []
    assert world.watch.suspected
    assert world.goes_on(1) == ["3 messages are ready, and it has taken none for 60 s"]


def test_it_has_nothing_to_do() -> None:
    world = World()
    assert world.goes_on(50) == []
    assert not world.watch.suspected


def test_it_takes_messages_and_the_queue_is_never_empty() -> None:
    world = World(ready=1000)
    assert world.goes_on(50, world.takes) == []
    assert not world.watch.suspected


def test_it_takes_a_message_at_last() -> None:
    world = World(ready=1)
    assert world.goes_on(6) == []
    world.takes()
    assert not world.watch.suspected, "at once, for the health check"
    assert world.goes_on(6) == []


def test_it_works_long_on_one_message() -> None:
    assert World(ready=9, busy=True).goes_on(500) == []


@pytest.mark.parametrize("turns", [True, False])
def test_it_waits_for_redis_or_the_broker(turns: bool) -> None:
    world = World(ready=9, away=True, turns=turns)
    assert world.goes_on(100) == []
    world.away, world.turns = False, True
    assert world.goes_on(6) == [], "the time starts when they are back"


def test_its_queue_is_emptied_by_others_now_and_then() -> None:
    world = World(ready=9)

    def others() -> None:
        world.ready = 0 if world.now % 50 == 0 else 9

    assert world.goes_on(100, others) == []


@pytest.mark.parametrize("busy", [False, True])
def test_its_event_loop_hangs(busy: bool) -> None:
    world = World(turns=False, busy=busy)
    assert world.goes_on(15) == []
    assert world.goes_on(1) == ["its event loop has not run for 160 s"]


def test_it_is_asked_to_end_and_finishes_its_last_message() -> None:
    assert World(turns=False, stopping=True, ready=9).goes_on(100) == []


def test_it_was_suspended() -> None:
    world = World(ready=9)
    world.goes_on(4)
    assert world.goes_on(1, step_s=3600.0) == []
    assert world.goes_on(6) == [], "the time starts anew"
    assert world.goes_on(2), "and it is deaf after all"


def test_the_thread_ends_the_process_and_goes_on_after_an_unexpected_error(capfd: pytest.CaptureFixture[str]) -> None:
    answers: list[Callable[[], str | None]] = [lambda: None, lambda: 1 / 0, lambda: "it is deaf"]  # type: ignore[list-item, return-value]
    ended: list[int] = []

    class Watch:
        pace = Pace(every_s=0.0)

        def step(self) -> str | None:
            return answers.pop(0)()

    watching(Watch(), ended.append)  # type: ignore[arg-type]
    assert ended == [75]
    assert "it is deaf" in "".join(capfd.readouterr())
