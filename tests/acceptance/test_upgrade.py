"""Upgrade and roll back: drain, stop, migrate to a made-up layout, run with it, and go back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.images import drop, photograph
from tests.acceptance.stack import ROOT, Stack
from tests.eventually import eventually
from workers.embedded.stack import command
from workers.redis.layout import VERSION

NEWER = str(Path(__file__).parent / "newer_layout")


def run(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, which has the layout of the stack's environment."""
    return subprocess.run(
        command(*arguments), env=stack.environment, capture_output=True, text=True, timeout=120, check=False
    )


def said(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.long
def test_drain_stop_migrate_run_and_go_back(make_stack: Callable[..., Stack]) -> None:
    """Nothing is lost: what waits during the drain is tagged by the newer wildtag, and all is equal afterwards."""
    older = make_stack()
    newer = Stack(older.home, PYTHONPATH=f"{NEWER}:{ROOT}")
    for key in ("a.png", "b.png"):
        drop(older.inbox, key, photograph("chelsea.png") + key.encode())
    drop(older.inbox, "bad.png", b"no image")
    try:
        older.start()
        before = older.settled(3)
        older.wildtag("teach", "a.png", "Chelsea")
        assert said(run(older, "drain", "--json"))["drained"]
        drop(older.inbox, "waits.png", photograph("coffee.png"))
        eventually(lambda: older.tally()["inbox"] == 1, 30, older.said)
        assert json.loads(older.wildtag("status", "--json").stdout)["draining_since"] is not None
        assert older.tally()["done"] == 2
        before = older.results()
        assert run(older, "down", "--drain").returncode == 0

        refused = run(newer, "up")
        assert refused.returncode == 1
        assert f"layout version {VERSION}, and this wildtag needs version {VERSION + 1}" in refused.stderr
        forward = said(run(newer, "migrate", "--json"))
        assert (forward["from"], forward["to"]) == (VERSION, VERSION + 1)
        too_old = run(older, "up")
        assert too_old.returncode == 1
        assert "a newer wildtag wrote this" in too_old.stderr

        newer.start()
        eventually(lambda: "waits.png" in said_records(newer), 90, newer.said)
        with_newer = said_records(newer)
        assert {key: with_newer[key] for key in before} == before
        assert said(run(newer, "drain", "--json"))["drained"]
        assert run(newer, "down").returncode == 0

        assert run(older, "migrate", "--to", str(VERSION)).returncode == 1  # only the newer one knows the way
        back = said(run(newer, "migrate", "--to", str(VERSION), "--json"))
        assert (back["from"], back["to"]) == (VERSION + 1, VERSION)
        nowhere = run(newer, "migrate", "--to", "2")
        assert nowhere.returncode == 1
        assert "restore the backup" in nowhere.stderr
        older.start()
        assert older.results() == with_newer
        assert "a.png" in older.wildtag("results", "--tag", "Chelsea").stdout
        assert older.stop() < 10
    finally:
        newer.kill()


def said_records(stack: Stack) -> dict[str, Any]:
    """The records, as the commands of that layout say them."""
    lines = run(stack, "results", "--json").stdout.splitlines()
    return {record["key"]: record for record in map(json.loads, lines)}
