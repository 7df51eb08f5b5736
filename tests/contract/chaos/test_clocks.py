"""A service whose clock has jumped goes on: it sleeps as long as before, and monotonic clocks do not jump."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ops.chaos.stack_process import clocked
from ops.chaos.world import CLOCKED, World, faketime
from workers.supervision.service import Service

pytestmark = pytest.mark.skipif(faketime() is None, reason="libfaketime is not installed")

LOOK = """
import time
began = time.monotonic()
time.sleep(0.2)
print(time.time(), time.monotonic() - began)
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = World.__new__(World)
    made.home, made.environment, made.jumped = tmp_path, {}, Counter()
    made.clocked()
    monkeypatch.setenv("CHAOS_CLOCKS", made.environment["CHAOS_CLOCKS"])
    return made


def looked(name: str) -> tuple[float, float]:
    """Wall clock, and seconds that a sleep of 0.2 s took, as this service sees them."""
    service = clocked(Service(name, (sys.executable, "-P", "-c", LOOK), ready=bool))
    done = subprocess.run(service.command, capture_output=True, text=True, check=True, timeout=60)
    wall, slept = map(float, done.stdout.split())
    return wall, slept


def test_only_the_clock_of_one_service_jumps(world: World) -> None:
    first, second = CLOCKED[:2]
    world.set_clock(first, "-3h")
    wall, slept = looked(first)
    assert abs(wall - time.time() + 3 * 3600) < 600
    assert 0.19 < slept < 30
    wall, slept = looked(second)
    assert abs(wall - time.time()) < 600
    assert 0.19 < slept < 30


def test_others_have_the_clock_of_the_machine(world: World) -> None:
    service = Service("gateway", (sys.executable, "-P", "-c", ""), ready=bool)
    assert world.environment
    assert clocked(service) is service
