"""A change of the encoder while the stack serves: at each moment every image has a record, and searches one space."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.images import drop, photograph
from tests.acceptance.stack import Stack
from tests.acceptance.test_upgrade import run
from tests.eventually import eventually
from workers.redis.connection import connect

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
PHOTOGRAPHS = ("chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg")


class Reader:
    """Reads records and searches all the time, as users do."""

    def __init__(self, stack: Stack, keys: set[str]) -> None:
        self._address = stack.info().addresses["gateway"]
        self._keys = keys
        self.spaces: list[set[str]] = []
        self.faults: list[str] = []
        self.longest_s = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join(60)

    def _get(self, path: str) -> Any:
        began = time.monotonic()
        with urllib.request.urlopen(f"{self._address}{path}", timeout=30) as answer:
            body = json.load(answer)
        self.longest_s = max(self.longest_s, time.monotonic() - began)
        return body

    def _read(self) -> None:
        while not self._end.is_set():
            try:
                listed = {one["key"]: one for one in self._get("/v1/objects?limit=100")["objects"]}
                if missing := self._keys - listed.keys():
                    self.faults.append(f"without a record: {missing}")
                self.spaces.append({one["space_id"] for one in listed.values() if one["state"] == "done"})
                found = self._get("/v1/search?q=cat&limit=5")
                if not found["images"]:
                    self.faults.append(f"nothing found: {str(found)[:200]}")
            except OSError as exc:
                self.faults.append(repr(exc))
            time.sleep(0.05)  # leaves the cores to the stack


def test_the_encoder_changes_without_a_gap(make_stack: Callable[..., Stack], tmp_path: Path) -> None:
    """Prepare, pause nothing, switch, restart, free: numbers, what people said, keys and searches stay."""
    from tests.unit.encoders.models import save_model  # noqa: PLC0415 -- loads torch

    model = tmp_path / "model"
    save_model(model, "clip")
    stack = make_stack(WILDTAG_TUNE="false")
    for number in range(2):
        for name in PHOTOGRAPHS:
            drop(stack.inbox, f"{number}-{name}", photograph(name))
    drop(stack.inbox, "bad.png", b"no image")
    stack.start()
    before = stack.settled(9)
    stack.wildtag("teach", "0-chelsea.png", "Chelsea")
    eventually(stack.at_rest, 60, stack.said)
    redis: Any = connect(stack.info().addresses["redis"])
    numbered = redis.hgetall("wildtag:numbered:0")
    (old,) = {one["space_id"] for one in before.values() if one["state"] == "done"}
    reader = Reader(stack, set(before))
    try:
        begun = run(stack, "encoder", "begin", str(model))
        assert begun.returncode == 0, begun.stderr
        state = json.loads(run(stack, "encoder", "status", "--json").stdout)
        assert (state["space"], state["change"]["prepared"], state["change"]["missing"]) == (old, 8, 0)
        assert reader.spaces[-1] == {old}  # it serves as before
        refused = run(stack, "migrate")
        assert refused.returncode == 1
        drop(stack.inbox, "late.png", photograph("coffee.png"))  # while nothing prepares
        eventually(lambda: "late.png" in stack.known(), 60, stack.said)
        switched = run(stack, "encoder", "switch")
        assert switched.returncode == 0, switched.stderr
        drop(stack.inbox, "after.png", photograph("rocket.jpg"))
        eventually(lambda: "after.png" in stack.known(), 60, stack.said)
        time.sleep(1)  # some further reads, by the thread
    finally:
        reader.stop()
    after = stack.results()
    (new,) = {one["space_id"] for one in after.values() if one["state"] == "done"}
    assert new != old
    assert after.keys() == {*before, "late.png", "after.png"}
    assert after["0-chelsea.png"]["tags"][0]["label"] == "Chelsea"
    assert after["1-chelsea.png"]["tags"][0]["label"] == "Chelsea"  # by the exemplar, in the new space
    assert numbered.items() <= redis.hgetall("wildtag:numbered:0").items()
    assert not list(redis.scan_iter("wildtag:next:*"))
    assert reader.faults == []
    assert all(len(spaces) == 1 for spaces in reader.spaces)  # in no answer both
    changes = [one for one, other in zip(reader.spaces, reader.spaces[1:], strict=False) if one != other]
    assert len(changes) == 1  # and never back
    assert stack.stop() < 10
    restarted(stack, old, new)


def restarted(stack: Stack, old: str, new: str) -> None:
    """The stack has the new encoder after a restart, too, and the space of the old one can be freed."""
    stack.start()  # WILDTAG_ENCODER is as before: the home knows better
    assert json.loads(run(stack, "encoder", "status", "--json").stdout)["space"] == new
    freed = run(stack, "encoder", "drop", old)
    assert freed.returncode == 0, freed.stderr
    assert not (stack.home / "captions" / old).exists()
    assert "Chelsea" in stack.wildtag("find", "Chelsea").stdout
    assert stack.stop() < 10
