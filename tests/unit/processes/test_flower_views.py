"""Flower forgets workers that are gone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from workers.processes.flower_views import GONE_S, forget_workers

NOW = 1_800_000_000.0


def worker(*heartbeats: float, alive: bool = False) -> Any:
    return SimpleNamespace(alive=alive, heartbeats=list(heartbeats))


def test_workers_that_stopped_or_give_no_sign_are_forgotten() -> None:
    workers = {
        "lives": worker(NOW, alive=True), "stopped": worker(), "silent": worker(NOW - GONE_S),
        "late": worker(NOW - GONE_S + 5),
    }  # fmt: skip
    removed: list[set[str]] = []
    state = SimpleNamespace(
        workers=workers, counter=dict.fromkeys(workers, 1), metrics=SimpleNamespace(remove_workers=removed.append)
    )
    inspected = dict.fromkeys(workers, 1)
    application = SimpleNamespace(
        events=SimpleNamespace(state=state), inspector=SimpleNamespace(workers=inspected)
    )  # fmt: skip
    assert sorted(forget_workers(application, NOW)) == ["silent", "stopped"]
    assert set(workers) == set(state.counter) == set(inspected) == {"lives", "late"}
    assert removed == [{"silent", "stopped"}]
    assert forget_workers(application, NOW) == []
