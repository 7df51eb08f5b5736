"""How often a service that is away is tried, by the length of its outage."""

from __future__ import annotations

import pytest

from vectordb.index import IndexMissing
from workers.outages.active import LONGEST_TRIAL_S, Standing, answers
from workers.outages.tracker import OutageTracker


@pytest.mark.parametrize(
    ("age", "pause"), [(0, 1.0), (60, 1.0), (120, 1.0), (240, 2.0), (600, 5.0), (3600, 5.0), (30 * 86_400, 5.0)]
)
def test_the_pause_grows_and_has_a_bound(age: float, pause: float) -> None:
    outage = Standing("no answer", 0.0, 100.0, 100.0, 100.0, lapses=False)
    outage.probed = 100.0 + age
    assert outage.pause(100.0 + age) == pause
    assert not outage.probe_due(100.0 + age + pause - 0.01)
    assert outage.probe_due(100.0 + age + 1.02 * pause)


def test_an_hour_without_a_service_costs_it_few_questions() -> None:
    outage, now, probes = Standing("no answer", 0.0, 0.0, 0.0, 0.0, lapses=False), 0.0, 0
    while now < 3600:
        if outage.probe_due(now):
            outage.probed, probes = now, probes + 1
        now += 0.25
    assert probes < 3600 / LONGEST_TRIAL_S + 300


def test_a_service_that_answers_that_it_has_nothing_is_away() -> None:
    def lost() -> None:
        raise IndexMissing("the captions were removed")

    assert not answers(lost)
    tracker = OutageTracker(probes={"captions": lost})
    assert tracker.register(IndexMissing("the captions were removed")) == "captions"
    (outage,) = tracker.active()
    assert outage.reason == "the captions were removed"
    assert OutageTracker(probes={"captions": lambda: None}).register(IndexMissing("an older version")) is None
