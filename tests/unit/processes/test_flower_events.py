"""Flower takes events together, in order, and one that it cannot read hides no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import Celery

from workers.processes.flower import GatheredEvents


class Loop:
    """Makes a call at once, or when the time is over."""

    def __init__(self) -> None:
        self.later: list[tuple[float, Callable[[], object]]] = []

    def add_callback(self, call: Callable[..., object], *given: Any) -> None:
        call(*given)

    def call_later(self, seconds: float, call: Callable[[], object]) -> None:
        self.later.append((seconds, call))


def test_events_are_taken_together() -> None:
    loop, seen = Loop(), list[str]()
    events = GatheredEvents(Celery(), loop, enable_events=False, max_workers_in_memory=10, max_tasks_in_memory=10)

    def count(event: dict[str, str]) -> None:
        seen.append(event["type"])
        if event["type"] == "damaged":
            raise KeyError("uuid")

    events.state.event = count
    for kind in ("task-received", "damaged", "task-started"):
        events.on_event({"type": kind})
    assert not seen
    assert [seconds > 0 for seconds, _ in loop.later] == [True]
    loop.later.pop()[1]()
    assert seen == ["task-received", "damaged", "task-started"]
    events.on_event({"type": "task-succeeded"})
    assert len(loop.later) == 1
    loop.later.pop()[1]()
    assert seen[-1] == "task-succeeded"
