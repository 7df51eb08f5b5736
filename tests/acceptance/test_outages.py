"""Qdrant, the store and Redis go away under the real stack: what waited has its record soon after they are back."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.acceptance.outages import World, world
from tests.acceptance.stack import Json
from tests.eventually import eventually
from workers.lifecycle.times import unix_seconds
from workers.supervision.supervisor import read_stack

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]

SOON_S = 5.0  # 3 where nobody else uses the cores
LONG_S = 12.0  # an outage after which pauses that double would be long


@pytest.fixture(scope="module")
def stack(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Warm, and with nothing under way."""
    with world(prepared, tmp_path_factory.mktemp("outages") / "home", WILDTAG_DEADLINE_S="60") as made:
        made.await_records([made.put() for _ in range(3)], 120)
        yield made


def outlast(stack: World, service: str, begin: Callable[[], None], end: Callable[[], None]) -> Json:
    """Put pictures before and during an outage; the oldest has its record soon after. Returns the outage."""
    begin()
    keys, began = [stack.put()], time.monotonic()
    eventually(lambda: [one for one in stack.status()["outages"] if one["name"] == service], 40, stack.stack.said)
    while time.monotonic() - began < LONG_S:
        keys.append(stack.put())
        time.sleep(1)  # the outage lasts
    outage: Json
    (outage,) = [one for one in stack.status()["outages"] if one["name"] == service]
    said = json.loads(stack.stack.wildtag("status", "--json").stdout)["outages"]
    assert [one["name"] for one in said] == [service]
    end()
    back = time.time()
    stack.await_records(keys, 60)
    waited = unix_seconds(stack.stack.known()[keys[0]]["finished_at"]) - back
    assert waited < SOON_S, f"{waited:.1f} s\n{stack.stack.said()}"
    eventually(lambda: not stack.status()["outages"], 10, lambda: str(stack.status()))
    assert stack.stack.tally()["dead"] == 0
    return outage


def lines(stack: World, service: str) -> dict[str, list[str]]:
    """What each process has logged of a service."""
    logs = {log.stem: log.read_text().splitlines() for log in (stack.stack.home / "logs").glob("*.log")}
    return {name: [line for line in said if f"service={service} " in line] for name, said in logs.items()}


def test_qdrant(stack: World) -> None:
    outage = outlast(stack, "captions", stack.qdrant.stop, stack.qdrant.start)
    assert outage["waiting"] > 3
    assert outage["seconds"] > LONG_S / 2
    logged = lines(stack, "captions")
    assert all(len(said) <= 2 for said in logged.values()), logged  # one when it begins, one when it ends
    assert any(logged.values())


def test_the_store_that_refuses(stack: World) -> None:
    outlast(stack, "store", lambda: stack.store.become("refusing"), lambda: stack.store.become("open"))
    assert all(len(said) <= 2 for said in lines(stack, "store").values())


def test_redis_that_is_killed_is_taken_up_again_with_what_was_on_the_queues(stack: World) -> None:
    keys = [stack.put() for _ in range(20)]
    before = stack.stack.process("redis")
    for process in [*psutil.Process(before).children(recursive=True), psutil.Process(before)]:
        os.kill(process.pid, signal.SIGKILL)

    def back() -> bool:
        info = read_stack(stack.stack.home)
        return info is not None and info.pids.get("redis", before) != before and stack.ready()[0] == 200

    eventually(back, 60, stack.stack.said)
    began = time.time()
    stack.await_records(keys, 60)
    known = stack.stack.known()
    late = [unix_seconds(known[key]["finished_at"]) - began for key in keys]
    stopped = [seconds for seconds in late if seconds > 0]
    assert stopped, late
    assert stopped[0] < SOON_S, late  # the oldest of them
    assert stack.stack.tally()["dead"] == 0
