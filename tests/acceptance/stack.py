"""The real stack as a person starts it: ``wildtag up`` in a home of its own, driven by files and read as JSON.

A command costs about a second of a core, which the stack itself then lacks: what is waited for is looked up in Redis,
and when it is there the command line is asked.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil

from tests.eventually import eventually
from tests.warm import wildtag
from vectordb.errors import Transient
from workers.embedded.stack import command
from workers.images.backlog import Backlog
from workers.lifecycle.inbox import LowPriorityInbox
from workers.lifecycle.record import STATES
from workers.lifecycle.record_reader import Pending, Records
from workers.lifecycle.record_view import public_json
from workers.outages.board import Outage, OutageBoard
from workers.redis.connection import connect
from workers.redis.keys import Keys
from workers.settings.settings import Settings
from workers.supervision.supervisor import StackInfo, read_stack

ROOT = Path(__file__).parents[2]  # what is started elsewhere finds the code there, installed or not

PREFIX: str = Settings.model_fields["key_prefix"].default
Json = dict[str, Any]
T = TypeVar("T")


class Stack:
    """A running stack. What a test asserts, the command line has said.

    ``folder``: the one in which it is started; the current one when not given.
    """

    def __init__(self, home: Path, folder: Path | None = None, /, **settings: str) -> None:
        self.home = home
        self.folder = folder
        self.inbox = home / "inbox"
        inherited = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
        paths = [str(ROOT), *(str(Path(entry).absolute()) for entry in inherited)]
        self.environment = {
            **os.environ, "PYTHONPATH": os.pathsep.join(paths), "WILDTAG_HOME": str(home),
            "WILDTAG_WORDS_AHEAD": "false",  # the tests need the cores
            **settings,
        }  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self._readers: dict[str, Records] = {}

    def start(self, patience: float = 240) -> StackInfo:
        """Start it and wait until it says it is up."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "up.log").open("ab") as out:
            self._process = subprocess.Popen(
                command("up"), cwd=self.folder, env=self.environment, stdout=out, stderr=out, start_new_session=True
            )  # fmt: skip
        info = eventually(self._up, patience, self.said)
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
        done = wildtag(*arguments, env=self.environment)
        assert not check or done.returncode == 0, done.stderr
        return done

    def info(self) -> StackInfo:
        """Its processes and addresses."""
        info = read_stack(self.home)
        assert info is not None, self.said()
        return info

    def process(self, name: str) -> int:
        """The pid of one of its services."""
        return self.info().pids[name]

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

    def known(self) -> dict[str, Json]:
        """The records by key, to wait for one: as ``results``, but read here."""
        return {record["key"]: record for record in (json.loads(public_json(r)) for r in self._records().latest())}

    def tally(self) -> Mapping[str, int]:
        """The counts, to wait for one: as ``counts``, but read here."""
        return self._records().counts()

    def feed_end(self) -> str:
        """The newest entry of the feed: a change means that something was reported."""
        return self._records().feed_end()

    def feed(self) -> list[str]:
        """The objects that the feed has reported, in its order: an object as often as it was."""
        found: list[str] = []
        after = "0"
        while items := self._records().feed(after, block_ms=1):
            found += [item.oid for item in items]
            after = items[-1].id
        return found

    def outages(self) -> list[Outage]:
        """The outages that its processes have noticed, to wait for one."""
        address = self.info().addresses["redis"]
        return OutageBoard(connect(address), Keys(PREFIX), "test", time.time).read()

    def pending(self) -> list[Pending]:
        """What is on its way, to wait for it."""
        return self._records().pending()

    def settled(self, records: int, patience: float = 120, under: str = "") -> dict[str, Json]:
        """Wait until nothing is on its way and so many keys that begin with ``under`` have records; then those."""

        def beneath(known: Mapping[str, Json]) -> dict[str, Json]:
            return {key: record for key, record in known.items() if key.startswith(under)}

        def at_rest(counts: Mapping[str, int], known: Callable[[], Mapping[str, Json]]) -> dict[str, Json] | None:
            if counts["inbox"] or counts["segments"] or counts["in_flight"]:
                return None
            found = known()
            finished = sum(counts[state] for state in STATES)
            return beneath(found) if finished == len(found) and len(beneath(found)) == records else None

        def seen() -> bool:
            try:
                return at_rest(self.tally(), self.known) is not None
            except Transient:  # a test has killed Redis, and it is not back yet
                return False

        began = time.monotonic()
        eventually(seen, patience, lambda: f"{self.counts()}\n{self.said()}")
        left = max(10.0, began + patience - time.monotonic())
        settled = eventually(
            lambda: [found] if (found := at_rest(self.counts(), self.results)) is not None else [], left, self.said
        )
        return settled[0]

    def at_rest(self) -> bool:
        """Whether nothing is on its way, the images that are tagged again included."""
        client, keys = connect(self.info().addresses["redis"]), Keys(PREFIX)
        again = LowPriorityInbox(client, keys)
        counts = self.tally()
        here = counts["inbox"] + counts["segments"] + counts["in_flight"]
        return not (here or again.length() or Backlog(client, keys, again).waiting())

    def said(self) -> str:
        """What ``up`` printed and what its processes logged, the last of it."""
        logs = [self.home / "up.log", *sorted((self.home / "logs").glob("*.log"))]
        return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs if log.exists())

    def _records(self) -> Records:
        address = self.info().addresses["redis"]
        if address not in self._readers:
            self._readers[address] = Records(connect(address), Keys(PREFIX))
        return self._readers[address]

    def _up(self) -> StackInfo | None:
        assert self._process is not None
        assert self._process.poll() is None, self.said()
        return read_stack(self.home)


@contextmanager
def started(prepared: Path, home: Path, folder: Path | None = None, /, **settings: str) -> Iterator[Stack]:
    """A stack in a home with the captions of another one, started, and in the end stopped as a person stops it."""
    shutil.copytree(prepared, home)
    stack = Stack(home, folder, **settings)
    try:
        stack.start()
        yield stack
        assert stack.stop() < 10
    finally:
        stack.kill()
