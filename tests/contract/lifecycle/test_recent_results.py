"""What finished lately: each entry of the feed is counted once, and what is not known is not claimed."""

from __future__ import annotations

import pytest

from tasks.message_parts import ObjectRef, Revision
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.recent_results import KEPT_S, RecentResults
from workers.lifecycle.record import Error, Record, State
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.redis.redis_clock import seconds

REVISION = Revision("space", "captions@1")


@pytest.fixture
def ledger(client: Client, keys: Keys) -> Ledger:
    return Ledger(client, keys, 10_000)


def finish(ledger: Ledger, first: int, count: int, state: State = "done", took_ms: float = 500.0) -> None:
    for number in range(first, first + count):
        ledger.enter([Arrival(ObjectRef("inbox", f"{number}.png", "e"))], REVISION, 1.0, 61.0)
        error = None if state == "done" else Error("too-large", "too large")
        record = Record(
            bucket="inbox", key=f"{number}.png", etag="e", state=state, space_id="space",
            captions_version="captions@1", error=error, timings_ms={"total": took_ms},
        )  # fmt: skip
        assert ledger.finish([record], 2.0) == [True]


@pytest.mark.parametrize("url", ["server"], indirect=True)
def test_each_is_counted_once_and_removed_ones_are_not(client: Client, keys: Keys, ledger: Ledger) -> None:
    recent = RecentResults(client, keys, 10_000)
    recent.update(seconds(client))
    assert (recent.rate(60).objects, recent.latency(), recent.failures().count) == (0, None, 0)
    finish(ledger, 0, 8)
    finish(ledger, 8, 2, "failed", 9000.0)
    ledger.remove(["inbox/0.png"])
    for _ in range(2):
        recent.update(seconds(client))
        rate, latency, failures = recent.rate(60), recent.latency(), recent.failures()
        assert (rate.objects, rate.seconds) == (10, 60.0)
        assert latency is not None
        assert (latency.p50, latency.p95, latency.objects) == (0.5, 9.0, 10)
        assert (failures.reasons, failures.finished, failures.seconds) == ({"too-large": 2}, 10, KEPT_S)
    finish(ledger, 10, 1)
    recent.update(seconds(client))
    assert recent.rate(60).objects == 11
    recent.update(seconds(client) + KEPT_S + 1)
    assert recent.failures().finished == 0


@pytest.mark.parametrize("url", ["server"], indirect=True)
def test_a_feed_that_was_trimmed_or_has_too_many_covers_less(client: Client, keys: Keys, ledger: Ledger) -> None:
    finish(ledger, 0, 30)
    for recent in (RecentResults(client, keys, 30), RecentResults(client, keys, 10_000, most=10)):
        recent.update(seconds(client))
        assert 0 < recent.failures().finished <= 30
        assert recent.failures().seconds < 60
        assert recent.rate(60).seconds < 60


@pytest.mark.parametrize("url", ["server"], indirect=True)
def test_a_clock_that_was_set_back_by_hours_neither_stops_the_counts_nor_repeats_them(
    client: Client, keys: Keys, ledger: Ledger
) -> None:
    """Entries keep the last time of the feed until the clock has caught up."""
    recent, now = RecentResults(client, keys, 10_000), seconds(client)
    finish(ledger, 0, 8)
    recent.update(now + 1)
    back = now - 5 * 3600
    recent.update(back)
    assert (recent.rate(60).objects, recent.rate(60).seconds) == (8, 60.0)
    recent.update(back + 100)
    assert recent.rate(60).objects == 0
    finish(ledger, 8, 3)
    recent.update(back + 110)
    finish(ledger, 11, 2)
    recent.update(back + 200)
    assert recent.rate(60).objects == 2
    assert recent.failures().finished == 13
    another = RecentResults(client, keys, 10_000)  # of a process that begins after that
    another.update(back + 200)
    assert (another.rate(60).objects, another.failures().finished) == (0, 0)
    finish(ledger, 13, 1)
    another.update(back + 230)
    assert (another.rate(60).objects, another.rate(60).seconds) == (1, 30.0)
