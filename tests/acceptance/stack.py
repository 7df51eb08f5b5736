"""The real stack as a person starts it: ``wildtag up`` in a home of its own, driven by files and read as JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import psutil

from workers.records import STATES
from workers.supervisor import StackInfo, read_stack

Json = dict[str, Any]
T = TypeVar("T")


class Stack:
    """A running stack. Everything it is asked goes through the command line."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self.inbox = home / "inbox"
        self.environment = {**os.environ, "WILDTAG_HOME": str(home), **settings}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, patience: float = 240) -> StackInfo:
        """Start it and wait until it says it is up."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "up.log").open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "workers.cli", "up"], env=self.environment, stdout=out, stderr=out,
                start_new_session=True,
            )  # fmt: skip
        info = wait_for(self._up, patience, self.said)
        assert info is not None
        return info

    def stop(self) -> float:
        """Ctrl-C; gives the seconds it took. Fails when it ends badly or leaves a process behind."""
        process = self._process
        assert process is not None
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait(20)
        took = time.monotonic() - began
        left = [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        assert left == [], f"left behind: {left}"
        self._process = None
        return took

    def kill(self) -> None:
        """End it whatever state it is in; for clean-up."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def wildtag(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of wildtag in this home."""
        done = subprocess.run(
            [sys.executable, "-m", "workers.cli", *arguments], env=self.environment, capture_output=True, text=True,
            timeout=180, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done

    def process(self, name: str) -> int:
        """The pid of one of its services."""
        info = read_stack(self.home)
        assert info is not None
        return info.pids[name]

    def results(self) -> dict[str, Json]:
        """All records by key; fails if an object has two."""
        lines = [json.loads(line) for line in self.wildtag("results", "--json").stdout.splitlines()]
        records = {record["key"]: record for record in lines}
        assert len(records) == len(lines)
        return records

    def counts(self) -> Mapping[str, int]:
        """The counts of ``wildtag status``."""
        counts: Mapping[str, int] = json.loads(self.wildtag("status", "--json").stdout)["counts"]
        return counts

    def settled(self, records: int, patience: float = 120) -> dict[str, Json]:
        """Wait until nothing is on its way and there are so many records; then all of them."""

        def check() -> bool:
            counts = self.counts()
            finished = sum(counts[state] for state in STATES)
            return finished == records and not counts["inbox"] and not counts["in_flight"]

        wait_for(check, patience, lambda: f"{self.counts()}\n{self.said()}")
        return self.results()

    def said(self) -> str:
        """What ``up`` printed and what its processes logged, the last of it."""
        logs = [self.home / "up.log", *sorted((self.home / "logs").glob("*.log"))]
        return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs if log.exists())

    def _up(self) -> StackInfo | None:
        assert self._process is not None
        assert self._process.poll() is None, self.said()
        return read_stack(self.home)


def wait_for(check: Callable[[], T], patience: float, explain: Callable[[], str]) -> T:
    """Poll until ``check`` gives something true; fail with an explanation after ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, explain()
        time.sleep(0.1)
