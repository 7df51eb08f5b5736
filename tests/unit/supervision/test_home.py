"""The files of a home: its lock, what runs in it, and ending what a killed supervisor left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.supervision.home import Home, StackInfo, end_recorded, read_stack, this_process, write_json
from workers.supervision.os_processes import MARK, Identity, alive, boot_id, look_up, send
from workers.supervision.service import StackRunning

FOREVER = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that are ended with the test."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def sleeper(started: list[subprocess.Popen[bytes]], mark: str = "") -> Identity:
    started.append(subprocess.Popen(FOREVER, env={**os.environ, MARK: mark}, start_new_session=True))
    found = look_up(started[-1].pid)
    assert found is not None
    return found.identity


def test_a_home_has_one_owner(tmp_path: Path) -> None:
    mine, other = Home(tmp_path), Home(tmp_path)
    mine.lock()
    with pytest.raises(StackRunning, match=str(os.getpid())):
        other.lock()
    mine.unlock()
    mine.unlock()
    other.lock()
    other.unlock()
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700


def test_a_stack_is_found_while_its_supervisor_lives(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert read_stack(tmp_path) is None
    home.lock()
    info = StackInfo(this_process(), "2026-01-01T00:00:00+00:00", {"flower": "http://127.0.0.1:5555"}, {"redis": 1})
    home.publish(info)
    assert read_stack(tmp_path) == info
    assert (tmp_path / "run" / "stack.json").stat().st_mode & 0o777 == 0o600
    home.publish(StackInfo(Identity(os.getpid(), 1), "", {}, {}))  # our pid, but another process had it
    assert read_stack(tmp_path) is None
    (tmp_path / "run" / "stack.json").write_text('{"half": ')
    assert read_stack(tmp_path) is None
    home.forget()
    home.unlock()
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["lock"]


def test_leftovers_are_ended_and_nobody_else(tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> None:
    home = Home(tmp_path)
    home.lock()
    leader, stranger = sleeper(started), sleeper(started)
    marked, other_stack = sleeper(started, home.token), sleeper(started, "another stack's")
    # the stranger has a pid that was once a service's
    home.record({"leader": leader, "gone": Identity(stranger.pid, stranger.started - 1)})
    assert home.end_leftovers() == {leader, marked}
    started[0].wait(5)
    started[2].wait(5)
    assert alive(stranger)
    assert alive(other_stack)
    assert home.end_leftovers() == set()
    home.unlock()


def test_what_was_recorded_before_the_machine_was_restarted_is_nobody(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    survivor = sleeper(started)
    file = tmp_path / "processes.json"
    noted = {"boot": "another", "mark": "m", "leaders": {"x": [survivor.pid, survivor.started]}}
    write_json(file, noted)
    assert end_recorded(file) == set()
    write_json(file, {**noted, "boot": boot_id()})
    assert end_recorded(file, token="of a later run") == set()  # noqa: S106 -- not a password
    assert alive(survivor)
    assert json.loads(file.read_text())["mark"] == "m"


def test_a_signal_reaches_only_the_process_that_was_meant(started: list[subprocess.Popen[bytes]]) -> None:
    target = sleeper(started)
    assert not send(Identity(target.pid, target.started + 1), signal.SIGTERM)
    assert not send(Identity(2**22 + 1, 5), signal.SIGTERM)
    assert alive(target)
    assert send(target, signal.SIGTERM)
    assert started[-1].wait(5) == -signal.SIGTERM
