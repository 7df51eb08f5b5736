"""``wildtag dead``: objects that were given up are listed, shown, tagged again and acknowledged."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.contract.operations.conftest import Finish, Wildtag
from workers.lifecycle.inbox import LowPriorityInbox
from workers.redis.connection import Client
from workers.redis.keys import Keys

AT = 1_790_000_000.0


@pytest.fixture
def dead(finish: Finish) -> None:
    for n, (key, state, code) in enumerate([
        ("a/1.png", "dead", "poisonous"), ("a/2.png", "dead", "gave-up"), ("b/3.png", "dead", "poisonous"),
        ("b/4.png", "failed", "too-many-pixels"), ("b/5.png", "failed", "not-an-image"), ("b/6.png", "done", ""),
    ]):  # fmt: skip
        finish(key, state, AT + n, code)


@contextmanager
def dispatching(client: Client, keys: Keys) -> Iterator[list[str]]:
    """Takes what is queued, as a dispatcher does; what it took, in order."""
    inbox, ended = LowPriorityInbox(client, keys), threading.Event()
    taken: list[str] = []
    inbox.prepare()

    def run() -> None:
        while not ended.is_set():
            read = inbox.read("test", 100, 50)
            taken.extend(event.key for _, event in read if event.force)
            inbox.done([entry for entry, _ in read])

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield taken
    finally:
        ended.set()
        thread.join()


def keys_of(wildtag: Wildtag, *arguments: str) -> list[str]:
    done = wildtag("dead", "list", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["key"] for line in done.stdout.splitlines()]


@pytest.mark.usefixtures("dead")
def test_they_are_listed_and_shown(wildtag: Wildtag) -> None:
    assert keys_of(wildtag) == ["b/3.png", "a/2.png", "a/1.png"]
    assert keys_of(wildtag, "--limit", "1") == ["b/3.png"]
    assert keys_of(wildtag, "--reason", "gave-up", "--reason", "poisonous", "--prefix", "a/") == [
        "a/2.png",
        "a/1.png",
    ]
    assert keys_of(wildtag, "--since", "2026-09-21T14:13:21+00:00") == ["b/3.png", "a/2.png"]
    assert keys_of(wildtag, "--state", "failed") == ["b/5.png", "b/4.png"]
    table = wildtag("dead", "list", COLUMNS="200").stdout
    assert "a/2.png" in table
    assert "gave-up: it may crash" in table
    shown = wildtag("dead", "show", "a/1.png", COLUMNS="200")
    assert shown.returncode == 0
    for said in (
        "inbox/a/1.png",
        "poisonous",
        "given up",
        "accepted",
        "etag e",
        "wildtag tag ",
        "dead replay a/1.png",
    ):
        assert said in shown.stdout
    assert json.loads(wildtag("dead", "show", "a/1.png", "--json").stdout)["acknowledged"] is False
    refused = wildtag("dead", "show", "b/6.png")
    assert refused.returncode == 1
    assert "not dead" in refused.stderr
    assert wildtag("dead", "list", "--state", "done").returncode == 2


@pytest.mark.usefixtures("dead")
def test_they_are_tagged_again_some_or_all_of_a_reason(wildtag: Wildtag, client: Client, keys: Keys) -> None:
    dry = wildtag("dead", "replay", "--reason", "poisonous", "--dry-run")
    assert dry.stdout.split() == ["b/3.png", "a/1.png"]
    assert not client.xlen(keys.low_priority_inbox)
    with dispatching(client, keys) as taken:
        done = wildtag("dead", "replay", "a/1.png", "none.png", "b/6.png")
        assert done.returncode == 1, "a key that is not there is told, and the others are tagged"
        assert "1 object queued" in done.stderr
        assert "Not dead, or not there: none.png, b/6.png" in " ".join(done.stderr.split())
        assert taken == ["a/1.png"]
        again = wildtag("dead", "replay", "--state", "failed", "--reason", "too-many-pixels", "--yes")
        assert (again.returncode, taken[1:]) == (0, ["b/4.png"])
        every = wildtag("dead", "replay", "--all", "--yes")
        assert (every.returncode, sorted(taken[2:])) == (0, ["a/1.png", "a/2.png", "b/3.png"])
    asked = wildtag("dead", "replay", "--all")
    assert asked.returncode == 1, "nobody answers the question"
    assert wildtag("dead", "replay").returncode == wildtag("dead", "replay", "a/1.png", "--all").returncode == 2


@pytest.mark.usefixtures("dead")
def test_acknowledged_ones_are_counted_no_more_until_they_are_tagged_again(wildtag: Wildtag, finish: Finish) -> None:
    def counts() -> tuple[int, int]:
        found = json.loads(wildtag("status", "--json").stdout)["counts"]
        return found["dead"], found["acknowledged"]

    assert wildtag("dead", "drop", "--all", "--dry-run").returncode == 0
    assert counts() == (3, 0)
    done = wildtag("dead", "drop", "a/1.png", "b/4.png")
    assert (done.returncode, "1 object acknowledged" in done.stderr) == (1, True)
    assert counts() == (2, 1)
    assert keys_of(wildtag) == ["b/3.png", "a/2.png"]
    assert keys_of(wildtag, "--acknowledged") == ["b/3.png", "a/2.png", "a/1.png"]
    assert json.loads(wildtag("results", "a/1.png", "--json").stdout)["state"] == "dead", "its record stays"
    assert "dead, acknowledged" in wildtag("dead", "show", "a/1.png").stdout
    assert "1 before" in wildtag("dead", "drop", "a/1.png").stderr
    assert wildtag("dead", "drop", "--reason", "gave-up", "--yes").returncode == 0
    assert counts() == (1, 2)
    finish("a/1.png", "dead", AT + 100)
    assert counts() == (2, 1)
    assert wildtag("dead", "drop", "--all", "--yes").returncode == 0
    assert counts() == (0, 3)
    assert "no dead objects that are not acknowledged" in " ".join(wildtag("dead", "list").stderr.split())
