"""The benchmark of webhook events measures a gateway that accepts them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ops.bench.events import measure


@pytest.fixture(autouse=True)
def all_cores() -> Iterator[None]:
    """The sender keeps one core free for the gateway; the tests after this one get it back."""
    cores = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, cores)


@pytest.mark.long
@pytest.mark.usefixtures("redis_url")  # skips where there is no Redis
def test_events_are_accepted_and_stored() -> None:
    found = measure(rate=50, seconds=1.0, connections=4)
    assert found.fixed.run.accepted > 0
    assert found.fixed.run.refused == 0
    assert found.stored >= found.fixed.run.accepted
