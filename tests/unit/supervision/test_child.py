"""A child process: its log, its end in words, its group."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from tests.eventually import eventually
from workers.supervision.child import Child
from workers.supervision.log_files import rotate
from workers.supervision.os_processes import alive, has_mark, look_up
from workers.supervision.service import Service


def run(code: str, log: Path, **options: str) -> Child:
    return Child(Service("x", (sys.executable, "-c", code), lambda: True, env=options), log, "token")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("pass", "exit code 0"),
        ("raise SystemExit(3)", "exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
    ],
)
def test_its_end_is_told_in_words(code: str, words: str, tmp_path: Path) -> None:
    child = run(code, tmp_path / "x.log")
    eventually(child.exit_status)
    assert child.exit_status() == words
    child.reap()
    assert child.exit_status() == words


def test_a_program_that_is_not_there_says_so_in_the_log(tmp_path: Path) -> None:
    child = Child(Service("x", ("/no/such/program",), lambda: True), tmp_path / "x.log", "token")
    eventually(child.exit_status)
    child.reap()
    assert child.exit_status() == "exit code 1"
    assert "/no/such/program cannot be run: No such file" in child.last_lines()


def test_the_last_lines_are_of_this_run_only(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "x.log"
    for word in ("first", "second"):
        child = run(f"print('{word}'); import sys; print('and on stderr', file=sys.stderr)", log)
        eventually(child.exit_status)
        child.reap()
        assert child.last_lines().splitlines() in (
            [word, "and on stderr"],
            ["and on stderr", word],  # stderr is not buffered
        )
    assert "first" in log.read_text()


def test_its_environment_is_ours_with_its_own_over_it_and_the_mark(tmp_path: Path) -> None:
    child = run("import os, time; print(os.environ['HOW'], os.environ['PATH'], flush=True); time.sleep(60)",
                tmp_path / "x.log", HOW="well")  # fmt: skip
    eventually(lambda: child.last_lines().startswith("well /"))
    assert has_mark(child.pid, "token")
    assert not has_mark(child.pid, "toke")
    found = look_up(child.pid)
    assert found is not None
    assert (found.identity, found.group) == (child.identity, child.pid)
    child.kill()
    eventually(child.exit_status)
    assert not alive(child.identity)  # a zombie is not alive
    child.reap()


def test_burying_ends_what_it_left_in_its_group(tmp_path: Path) -> None:
    child = run(
        "import signal, subprocess, sys; signal.signal(15, signal.SIG_IGN);"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True)",
        tmp_path / "x.log",
    )
    eventually(child.exit_status)
    grandchild = look_up(int(child.last_lines()))
    assert grandchild is not None
    child.reap()
    eventually(lambda: not alive(grandchild.identity))


def test_long_logs_are_set_aside_and_the_oldest_dropped(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    for number in range(6):
        rotate(log, limit=3, kept=2)
        log.write_text(f"log {number}")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        "x.log": "log 5", "x.log.1": "log 4", "x.log.2": "log 3",
    }  # fmt: skip
    rotate(log, limit=100)
    assert log.read_text() == "log 5"


def test_lines_of_a_program_are_turned_into_those_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "x.log"

    def turn(line: str) -> str | None:
        return None if "dropped" in line else f"turned: {line.strip()}"

    code = (
        "import sys; sys.stdout.buffer.write(b'one\\ndropped\\n\\xff two\\n'); sys.stdout.flush();"
        "print('three', file=sys.stderr)"
    )
    child = Child(Service("x", (sys.executable, "-c", code), lambda: True, lines=turn), log, "token")
    eventually(child.exit_status)
    child.reap()
    assert log.read_text().splitlines() == ["turned: one", "turned: \N{REPLACEMENT CHARACTER} two", "turned: three"]
    assert child.last_lines() == log.read_text().strip()


def test_a_program_whose_lines_are_turned_does_not_wait_for_the_supervisor(tmp_path: Path) -> None:
    """The one who reads is slow, and the pipe is full: lines are lost, and the program goes on to its end."""
    release = threading.Event()

    def turn(line: str) -> str:
        release.wait(20)
        return line.strip()

    code = """
import os
for _ in range(40):
    try:
        os.write(1, b'x' * 8000 + b'\\n')
    except BlockingIOError:
        pass
"""
    child = Child(Service("x", (sys.executable, "-c", code), lambda: True, lines=turn), tmp_path / "x.log", "token")
    try:
        eventually(child.exit_status, 10)
        assert child.exit_status() == "exit code 0"
    finally:
        release.set()
        child.reap()
