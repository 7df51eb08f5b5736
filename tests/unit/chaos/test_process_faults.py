"""Signals to the supervisor and to its own processes, and clocks that jump one after the other."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from ops.chaos.faults import FAULTS
from ops.chaos.machine_faults import ClockJumps
from ops.chaos.world import CLOCKED
from tests.eventually import eventually
from vectordb.errors import Permanent

BY_PART = {"supervisor": None, "guardian": "guardian", "prefork": "prefork_server"}


class World:
    """A world in which one process is the supervisor and all that belongs to it."""

    def __init__(self, process: psutil.Process | None) -> None:
        self.process = process
        self.asked: list[str | None] = []
        self.did: list[object] = []
        self.problems: list[tuple[str, str]] = []
        self.jumped = Counter[str]()

    def supervising(self, named: str | None) -> list[psutil.Process]:
        self.asked.append(named)
        return [] if self.process is None else [self.process]

    def end(self, number: signal.Signals) -> None:
        self.did.append(number)

    def start(self) -> None:
        self.did.append("start")

    def set_clock(self, service: str, text: str) -> None:
        self.did.append((service, text))


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-I", "-c", "input()"], stdin=subprocess.PIPE) as made:
        yield made
        made.kill()


def fault(name: str, world: Any) -> Any:
    return FAULTS[name](world, 0.5)


def struck(name: str, world: Any, process: subprocess.Popen[bytes]) -> Any:
    """A fault that ends the process, begun and mended."""
    found = fault(name, world)
    found.begin()
    process.wait(10)
    found.mend()
    return found


@pytest.mark.parametrize("part", BY_PART)
def test_each_part_can_be_stopped_and_goes_on(part: str, process: subprocess.Popen[bytes]) -> None:
    world = World(psutil.Process(process.pid))
    stopped = fault(f"stop-{part}", world)
    stopped.begin()
    assert world.process is not None
    eventually(lambda: world.process.status() == psutil.STATUS_STOPPED, 10)  # type: ignore[union-attr]  # see above
    stopped.mend()
    eventually(lambda: world.process.status() != psutil.STATUS_STOPPED, 10)  # type: ignore[union-attr]  # see above
    assert world.asked == [BY_PART[part]]


def test_a_supervisor_is_ended_in_both_ways_and_started_again() -> None:
    world = World(None)
    for name in ("kill-supervisor", "terminate-supervisor"):
        one = fault(name, world)
        one.begin()
        one.mend()
    assert world.did == [signal.SIGKILL, "start", signal.SIGTERM, "start"]


def test_a_guardian_that_ends_at_sigterm_is_a_finding(process: subprocess.Popen[bytes]) -> None:
    world = World(psutil.Process(process.pid))
    struck("terminate-guardian", world, process)
    assert [kind for kind, _ in world.problems] == ["wrong"]


def test_a_guardian_that_is_not_replaced_is_a_finding(
    process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.chaos.process_faults._REPLACED_S", 0.2)
    world = World(psutil.Process(process.pid))
    killed = struck("kill-guardian", world, process)
    assert [kind for kind, _ in world.problems] == ["lost"]
    world.process = psutil.Process()  # another one
    killed.mend()
    assert len(world.problems) == 1


def test_a_process_that_is_not_there_is_no_silent_success() -> None:
    with pytest.raises(Permanent, match="no guardian runs"):
        fault("kill-guardian", World(None)).begin()


def test_each_jump_of_a_clock_concerns_another_service() -> None:
    world: Any = World(None)
    for number in range(2 * len(CLOCKED)):
        jump = ClockJumps(world, number * 0.37 % 1)
        jump.begin()
        jump.mend()
    assert world.jumped == dict.fromkeys(CLOCKED, 2)
    first = [service for service, _ in world.did[: 2 * len(CLOCKED) : 2]]
    assert sorted(first) == sorted(CLOCKED)
    assert {text for _, text in world.did[1::2]} == {"+0"}
