"""Logs stay bounded while processes write to them, and no line is lost, whoever rotates them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.eventually import eventually
from workers.supervision.log_files import open_log, rotate
from workers.supervision.log_reader import LogReader

LINE = re.compile(r"(?P<who>parent|child) (?P<number>\d+)")
WRITER = """
import os, sys, time
from workers.supervision import log_files
log_files.REOPEN_EVERY_S = 0.02
log_files.keep_output()
child = os.fork()
who = "parent" if child else "child"
number = 0
while True:
    print(f"{who} {number}", flush=True)
    number += 1
    time.sleep(0.005)
"""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """The log of two processes, of which one was forked, that write numbered lines."""
    path = tmp_path / "x.log"
    with open_log(path) as out:
        process = subprocess.Popen([sys.executable, "-c", WRITER], stdout=out, stderr=out, start_new_session=True)
    try:
        eventually(lambda: both(path))
        yield path
    finally:
        subprocess.run(["kill", "-9", "--", f"-{process.pid}"], check=False)
        process.wait()


def both(path: Path) -> bool:
    """Whether both processes write to a file."""
    text = path.read_text() if path.exists() else ""
    return "parent" in text and "child" in text


def rotated(log: Path) -> None:
    assert rotate(log, limit=10, kept=50)


def renamed(log: Path) -> None:
    log.rename(log.with_name(f"{log.name}.{len(list(log.parent.iterdir()))}"))


def copied(log: Path) -> None:
    """As ``logrotate`` does with ``copytruncate``."""
    log.with_name(f"{log.name}.{len(list(log.parent.iterdir()))}").write_bytes(log.read_bytes())
    with log.open("r+b") as file:
        file.truncate(0)


@pytest.mark.parametrize("way", [rotated, renamed])
def test_writers_go_on_in_the_new_file_and_lose_nothing(log: Path, way: Callable[[Path], None]) -> None:
    for _ in range(4):
        way(log)
        eventually(lambda: both(log))
    lines = [line for file in log.parent.iterdir() for line in file.read_text().splitlines()[:-1] if line]
    whole = [found for line in lines if (found := LINE.fullmatch(line))]
    torn = len(lines) - len(whole)  # what two processes write at once, or while the file is changed, may be mixed
    for who in ("parent", "child"):
        numbers = {int(found["number"]) for found in whole if found["who"] == who}
        missing = set(range(max(numbers))) - numbers
        assert len(missing) <= 2 * torn + len(list(log.parent.iterdir()))  # the last line may still be written
    assert torn <= len(list(log.parent.iterdir()))


def test_writers_go_on_in_a_file_that_was_truncated_or_removed(log: Path) -> None:
    copied(log)
    eventually(lambda: both(log))
    assert log.read_bytes()[:1] != b"\0"  # no hole
    log.unlink()
    eventually(lambda: both(log))


def test_only_the_wanted_number_of_old_logs_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    for kept, names in ((0, {"x.log"}), (1, {"x.log", "x.log.1"})):
        for number in range(3):
            log.write_text(f"log {number}")
            assert rotate(log, limit=3, kept=kept)
        assert {file.name for file in tmp_path.iterdir()} == names
    assert not rotate(log, limit=3)
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_reader_follows_across_rotations(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    reader = LogReader(log)
    assert reader.last(2) == []
    log.write_text("one\ntwo\nthree\nbegun")
    reader = LogReader(log)
    assert reader.last(2) == ["two", "three"]
    with log.open("a") as file:
        file.write(" and ended\nlast of the old\n")
    rotate(log, limit=1)
    log.write_text("first of the new\n")
    assert list(reader.new()) == ["begun and ended", "last of the old", "first of the new"]
    log.write_text("cut\n")  # shorter than before
    assert list(reader.new()) == ["cut"]
    log.unlink()
    assert list(reader.new()) == []
