"""A share that is not mounted shows an empty folder: the stack holds all removals, and says so everywhere."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.images import drop, photograph
from tests.acceptance.stack import Stack
from tests.eventually import eventually

pytestmark = pytest.mark.timeout(300)


def read(stack: Stack, path: str) -> str:
    info = stack.info()
    with urllib.request.urlopen(f"{info.addresses['gateway']}{path}", timeout=10) as answer:
        said: str = answer.read().decode()
    return said


def test_an_inbox_that_is_suddenly_empty_keeps_all_records(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack(WILDTAG_RESCAN_S="1")
    stack.start()
    names = ["chelsea.png", "coffee.png", "rocket.jpg"]
    for name in names:
        drop(stack.inbox, name, photograph(name))
    before = stack.settled(3)
    feed = stack.feed_end()

    away = stack.inbox.rename(stack.home / "away")
    stack.inbox.mkdir()
    held: list[dict[str, Any]] = eventually(
        lambda: json.loads(read(stack, "/v1/status"))["held_removals"], 30, stack.said
    )
    assert [(hold["missing"], hold["known"]) for hold in held] == [(3, 3)]
    assert json.loads(read(stack, "/readyz"))["held_removals"] == held
    assert 'wildtag_held_removals{bucket="inbox"} 3.0' in read(stack, "/metrics")
    said = stack.wildtag("status")
    assert "Removals are held: 3 of 3 objects" in said.stderr
    assert json.loads(stack.wildtag("status", "--json").stdout)["held_removals"] == held
    # a periodic comparison may be going on
    (swept,) = eventually(
        lambda: [one] if (one := stack.wildtag("reconcile", check=False)).returncode == 0 else [], 30, stack.said
    )
    assert "3 objects compared" not in swept.stdout
    assert "--confirm-removals" in swept.stderr
    assert stack.said().count("removals held") == 1
    assert stack.results() == before

    stack.inbox.rmdir()
    away.rename(stack.inbox)
    eventually(lambda: not json.loads(read(stack, "/v1/status"))["held_removals"], 30, stack.said)
    time.sleep(3)  # what must not happen has this long to happen
    assert stack.results() == before
    assert stack.feed_end() == feed

    for name in names:  # one after the other, as a person does; then they are gone
        (stack.inbox / name).unlink()
    eventually(lambda: json.loads(read(stack, "/v1/status"))["held_removals"] or not stack.known(), 30, stack.said)
    stack.wildtag("reconcile", "--confirm-removals")
    eventually(lambda: not stack.known(), 30, stack.said)
    assert json.loads(read(stack, "/v1/status"))["held_removals"] == []
    assert stack.stop() < 10
