"""The life of one service: real processes, a clock that the test turns."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.eventually import eventually
from workers.supervision.child import Child
from workers.supervision.member import Member, State
from workers.supervision.service import Event, Service

FOREVER = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


class Life:
    """A member, its events, and the time."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.events: list[Event] = []
        self.now = 1000.0
        self.member = Member(service, lambda s: Child(s, folder / "x.log", "token"), self.events.append)

    def until(self, condition: Callable[[], bool]) -> None:
        """Step without letting the clock run, until it holds."""

        def holds() -> bool:
            if condition():
                return True
            self.member.step(self.now)
            return False

        # real processes start and end between two steps
        eventually(holds, 10, lambda: str([str(event) for event in self.events]), every_s=0.005)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.member.step(self.now)

    def state(self, state: State) -> None:
        self.until(lambda: self.member.state is state)

    def is_(self, state: State) -> bool:
        return self.member.state is state

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Callable[..., Life]]:
    lives: list[Life] = []

    def begin(code: str, ready: Callable[[], bool] = lambda: True, **options: object) -> Life:
        service = Service("x", (sys.executable, "-c", code), ready, **options)  # type: ignore[arg-type]  # tests only
        lives.append(Life(service, tmp_path))
        lives[-1].member.begin(lives[-1].now)
        return lives[-1]

    yield begin
    for life in lives:
        life.member.stop(life.now, 0.0)
        life.state(State.DOWN)


def test_is_up_when_it_says_so_and_down_when_asked(live: Callable[..., Life]) -> None:
    answers = iter([False, False, True])
    life = live(FOREVER, lambda: next(answers))
    for _ in range(2):
        life.until(lambda: life.is_(State.STARTING))
        life.pass_time(1.0)
    while life.is_(State.STARTING):
        life.pass_time(0.1)
        time.sleep(0.005)  # as above
    life.member.stop(life.now, 5.0)
    life.state(State.DOWN)
    assert life.kinds == ["started", "ready", "stopping", "stopped"]


def test_what_dies_again_and_again_rests_longer_and_longer(live: Callable[..., Life]) -> None:
    life = live("raise SystemExit(7)", lambda: False)
    for rest in (0.5, 1.0, 2.0):
        life.state(State.RESTING)
        assert f"exit code 7), restart in {rest:g} s" in str(life.events[-1])
        life.pass_time(rest * 0.9)
        assert life.is_(State.RESTING)
        life.pass_time(rest * 0.2)
        assert life.is_(State.STARTING)
        assert life.events[-1].kind == "restarted"


def test_a_minute_up_forgives_earlier_failures(live: Callable[..., Life]) -> None:
    life = live(FOREVER)
    for minutes, failures in ((0, 1), (0, 2), (61, 1)):
        life.state(State.UP)
        life.now += minutes
        assert life.member.child is not None
        life.member.child.kill()
        life.state(State.RESTING)
        assert life.member.failures == failures
        life.pass_time(31)


def test_what_is_not_ready_in_time_is_ended_and_tried_again(live: Callable[..., Life]) -> None:
    def ready() -> bool:
        raise ConnectionError("nobody there")

    life = live("print('I am thinking', flush=True); " + FOREVER, ready, ready_timeout=30.0)
    life.until(lambda: life.member.child is not None and "thinking" in life.member.child.last_lines())
    life.pass_time(29)
    assert life.is_(State.STARTING)
    life.pass_time(2)
    assert life.is_(State.ENDING)
    assert "not ready after 30 s (ConnectionError: nobody there)" in life.member.trouble
    assert "I am thinking" in life.member.trouble
    life.state(State.RESTING)


def test_what_is_unhealthy_for_long_is_restarted_by_force_if_need_be(live: Callable[..., Life]) -> None:
    healthy = [True]
    life = live(STUBBORN, healthy=lambda: healthy[0], unhealthy_after=20.0, stop_timeout=3.0)
    life.until(lambda: life.member.child is not None and "deaf" in life.member.child.last_lines())
    life.state(State.UP)
    for _ in range(10):  # a short spell does no harm
        healthy[0] = not healthy[0]
        life.pass_time(6)
        time.sleep(0.02)  # as above
        life.pass_time(0)
    assert life.is_(State.UP)
    healthy[0] = False
    while life.is_(State.UP):
        life.pass_time(1)
        time.sleep(0.005)  # as above
    assert life.events[-1].kind == "stuck"
    life.pass_time(2)
    assert life.is_(State.ENDING)
    life.pass_time(2)
    life.state(State.RESTING)
    assert life.kinds[-2:] == ["killed", "died"]


def test_a_question_that_hangs_is_a_no(live: Callable[..., Life]) -> None:
    hanging: list[float] = []

    def healthy() -> bool:
        hanging.append(0)
        time.sleep(5)  # a probe that hangs
        return True

    life = live(FOREVER, healthy=healthy, unhealthy_after=20.0)
    life.state(State.UP)
    life.until(lambda: bool(hanging))
    life.pass_time(21)
    assert life.is_(State.ENDING)


def test_a_process_that_cannot_be_started_is_tried_again(tmp_path: Path, live: Callable[..., Life]) -> None:
    life = live(FOREVER, cwd=tmp_path / "later")
    assert life.is_(State.RESTING)
    assert "cannot be started" in life.member.trouble
    (tmp_path / "later").mkdir()
    life.pass_time(1)
    life.state(State.UP)
