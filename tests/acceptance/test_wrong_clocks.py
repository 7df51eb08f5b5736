"""Workers whose clocks are wrong: everything is tagged once, nobody is silent, and the clocks are named."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ops.chaos.world import faketime
from tests.acceptance.images import photograph
from tests.acceptance.stack import PREFIX, Stack
from tests.eventually import eventually
from workers.embedded.stack import command
from workers.redis.connection import connect
from workers.redis.heartbeats import Health
from workers.redis.keys import Keys

LIBRARY = faketime()
IMAGES = 30

pytestmark = pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime")


@contextmanager
def worker(stack: Stack, ahead: int) -> Iterator[Path]:
    """An embedding worker with this clock, that was started as a person starts it. Gives its log."""
    log = stack.home / f"{ahead}.log"
    environment = {**stack.environment, "LD_PRELOAD": str(LIBRARY), "FAKETIME": f"{ahead:+d}",
                   "FAKETIME_FORCE_MONOTONIC_FIX": "0"}  # fmt: skip
    with log.open("wb") as out:
        process = subprocess.Popen(command("worker", "embedding"), env=environment, stdout=out, stderr=out)
    try:
        eventually(lambda: b" ready." in log.read_bytes(), 60, log.read_text)
        yield log
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
    finally:
        process.kill()


def offsets(stack: Stack) -> set[int]:
    """Of the clocks that embedding workers have named."""
    health = Health(connect(stack.info().addresses["redis"]), Keys(PREFIX), lambda: 0.0)
    return {round(note.offset / 60) for note in health.processes() if note.name == "embedding"}


@pytest.mark.long
def test_ten_minutes_ahead_and_ten_minutes_behind(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack(WILDTAG_BATCH_MAX="1")
    stack.start()
    with worker(stack, 600) as ahead, worker(stack, -600) as behind:
        image = photograph("chelsea.png")
        for number in range(IMAGES):
            (stack.inbox / f"{number}.png").write_bytes(image + os.urandom(8))
        (stack.inbox / "cut.png").write_bytes(image[: len(image) // 2])  # it is looked at again after a pause
        records = stack.settled(IMAGES + 1)
        assert {record["state"] for key, record in records.items() if key != "cut.png"} == {"done"}
        assert records["cut.png"]["state"] == "failed"
        for log in (ahead, behind):
            assert "sent to retrieval" in eventually(lambda log=log: log.read_text(), 10)  # type: ignore[misc]  # mypy
        feed = [oid for oid in stack.feed() if not oid.endswith("cut.png")]
        assert sorted(feed) == sorted(set(feed))  # nothing was tagged twice
        assert {10, -10} <= offsets(stack)
        said = stack.wildtag("status")
        for word in ("ahead", "behind"):
            assert re.search(rf"\(embedding\) is (599|600|601) s {word}", said.stdout + said.stderr)
        for name in json.loads(stack.wildtag("status", "--json").stdout)["seconds_since_progress"].values():
            assert 0 <= name < 120
        assert stack.wildtag("alive", "embedding").returncode == 0
        checks = [json.loads(line) for line in stack.wildtag("doctor", "--json", check=False).stdout.splitlines()]
        assert len([check for check in checks if check["name"] == "clocks" and check["ok"] is None]) == 2
        assert "no progress" not in str([check for check in checks if check["name"] == "stack"])
    assert offsets(stack) <= {0}  # those that stopped on purpose are not named any more
    overdue = [line for line in stack.said().splitlines() if "overdue" in line]
    assert all("cut.png" in line for line in overdue)  # which is looked at again by that
    assert stack.stop() < 10
