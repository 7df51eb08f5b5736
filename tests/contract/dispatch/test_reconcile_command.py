"""``wildtag reconcile`` as a person and as the stack runs it: over a real Redis and a folder, in a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.eventually import eventually
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.record_reader import PAGE
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.redis.layout import Layout

PATIENCE = 30
Wildtag = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "inbox"
    made.mkdir()
    return made


@pytest.fixture
def environment(redis_url: str, keys: Keys, tmp_path: Path, folder: Path) -> dict[str, str]:
    return {
        **os.environ, "WILDTAG_HOME": str(tmp_path), "WILDTAG_INBOX": str(folder), "WILDTAG_REDIS_URL": redis_url,
        "WILDTAG_KEY_PREFIX": keys.prefix,
    }  # fmt: skip


@pytest.fixture
def inbox(client: Client, keys: Keys) -> Inbox:
    Layout(client, keys).require()
    made = Inbox(client, keys.inbox)
    made.prepare()
    return made


@pytest.fixture
def wildtag(environment: dict[str, str]) -> Wildtag:
    """Runs a command to its end."""

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return warm.wildtag(*arguments, env=environment | settings, timeout=PATIENCE)

    return run


def said(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What it printed as JSON."""
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def queued_keys(inbox: Inbox) -> list[str]:
    read = inbox.read("me", 10_000, None)
    inbox.done([entry for entry, _ in read])
    return [event.key for _, event in read]


def aged(path: Path, days: float) -> None:
    path.write_bytes(b"x")
    then = (datetime.now(UTC) - timedelta(days=days)).timestamp()
    os.utime(path, (then, then))


def test_since_tells_of_what_has_changed_since_and_leaves_no_mark(
    wildtag: Wildtag, folder: Path, inbox: Inbox, client: Client, keys: Keys
) -> None:
    aged(folder / "old.jpg", 10)
    aged(folder / "week.jpg", 6)
    aged(folder / "new.jpg", 0)
    for since, sent in (
        ("36h", ["new.jpg"]),
        (str((datetime.now(UTC) - timedelta(days=8)).date()), ["new.jpg", "week.jpg"]),
    ):
        found = said(wildtag("reconcile", "--since", since, "--json"))
        assert (found["seen"], found["sent"], found["gone"]) == (3, len(sent), 0)
        assert queued_keys(inbox) == sent
    assert client.exists(keys.reconcile("inbox")) == 0
    refused = wildtag("reconcile", "--since", "yesterday")
    assert refused.returncode == 2
    assert "36h" in refused.stderr


@pytest.mark.parametrize("how", ["option", "setting"])
def test_a_rate_is_kept(wildtag: Wildtag, folder: Path, inbox: Inbox, how: str) -> None:
    count = PAGE + 1
    for number in range(count):
        (folder / f"{number}.jpg").write_bytes(b"x")
    given = ("--rate", "1000") if how == "option" else ()
    found = said(wildtag("reconcile", "--json", *given, WILDTAG_RECONCILE_RATE="1000" if not given else "9999"))
    assert found["seen"] == count
    assert found["seconds"] >= PAGE / 1000
    assert len(queued_keys(inbox)) == count


LISTENS = """
import contextlib, time
from workers.processes.listener import run_listener
from workers.settings.settings import Settings

@contextlib.contextmanager
def connect():
    def chunks():
        yield b" "
        time.sleep(600)
    yield chunks()

run_listener(Settings(), connect)
"""


@pytest.mark.parametrize(
    "command",
    [["-m", "workers.cli", "reconcile"], ["-m", "workers.cli", "reconcile", "--every", "60"],
     ["-m", "workers.cli", "watcher"], ["-c", LISTENS]],
    ids=["once", "again and again", "watcher", "listener"],
)  # fmt: skip
def test_who_is_stopped_in_the_middle_of_a_pass_lets_others_sweep_at_once(
    environment: dict[str, str], folder: Path, inbox: Inbox, client: Client, keys: Keys, command: list[str]
) -> None:
    for number in range(PAGE + 100):
        (folder / f"{number:05}.jpg").write_bytes(b"x")
    slow = environment | {"WILDTAG_RECONCILE_RATE": "1"}  # the second page is minutes away
    process = subprocess.Popen([sys.executable, *command], env=slow)
    try:
        eventually(lambda: inbox.length() >= PAGE, PATIENCE)
        assert client.exists(keys.lock("reconcile:inbox")) == 1
        process.terminate()
        assert process.wait(PATIENCE) in {0, 130}
    finally:
        process.kill()
        process.wait(10)
    assert client.exists(keys.lock("reconcile:inbox")) == 0
