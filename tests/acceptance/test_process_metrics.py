"""The gateway of the embedded stack shows what all processes count, and no counter goes back when one is killed."""

from __future__ import annotations

import os
import signal
import urllib.request

import psutil
import pytest

from tests.acceptance.images import drop, photograph
from tests.acceptance.stack import Stack
from tests.eventually import eventually
from tests.exposition import values

pytestmark = pytest.mark.timeout(300)

Values = dict[str, dict[tuple[str, ...], float]]
ENDINGS = ("_total", "_count", "_sum", "_bucket")
UNDER = "process metrics"


def of_processes(stack: Stack) -> Values:
    """What only grows, and is counted by processes."""
    with urllib.request.urlopen(f"{stack.info().addresses['gateway']}/metrics", timeout=10) as answer:
        found = values(answer.read().decode())
    names = ("batch_objects", "stage_busy", "cache_requests", "enc", "index_", "store_")
    return {
        name: series
        for name, series in found.items()
        if name.removeprefix("wildtag_").startswith(names) and name.endswith(ENDINGS)
    }


def gone_back(before: Values, after: Values) -> list[str]:
    return [
        f"{name}{labels}: {value} → {after.get(name, {}).get(labels)}"
        for name, series in before.items()
        for labels, value in series.items()
        if after.get(name, {}).get(labels, -1.0) < value
    ]


def tag(stack: Stack, name: str) -> Values:
    """Tag one more image, and see that it was counted."""
    before = of_processes(stack)
    drop(stack.inbox, f"{UNDER}/{name}", photograph("chelsea.png"))
    stack.settled(1, under=f"{UNDER}/{name}")

    def messages(found: Values, stage: str) -> float:
        return found.get("wildtag_batch_objects_count", {}).get((stage,), 0.0)

    def grown() -> Values | None:
        now = of_processes(stack)
        more = all(messages(now, stage) > messages(before, stage) for stage in ("embedding", "scoring"))
        return now if more else None

    after = eventually(grown, 30)
    assert after is not None
    assert gone_back(before, after) == []
    return after


def test_counters_of_workers_are_at_the_gateway_and_outlast_a_killed_worker(running: Stack) -> None:
    found = tag(running, "one.png")
    assert {labels[1] for labels in found["wildtag_encoded_items_total"]} >= {"image"}
    for name, labels in {
        "wildtag_stage_busy_seconds_total": ("extraction",), "wildtag_store_duration_seconds_count": ("get",),
        "wildtag_index_duration_seconds_count": ("captions", "search"),
        "wildtag_cache_requests_total": ("phrases", "miss"),
    }.items():  # fmt: skip
        assert found[name][labels] > 0, name

    (child,) = psutil.Process(running.process("worker-embedding")).children()
    child.kill()
    eventually(lambda: not child.is_running())
    assert gone_back(found, of_processes(running)) == []

    pid = running.process("worker-embedding")
    os.kill(pid, signal.SIGKILL)  # the supervisor starts another one
    found = tag(running, "two.png")
    assert gone_back(found, of_processes(running)) == []
