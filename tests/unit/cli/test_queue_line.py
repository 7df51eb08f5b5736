"""The line of ``wildtag status`` on the queues: where messages wait, and which stage has no worker."""

from __future__ import annotations

import pytest

from workers.broker.depths import Depths, QueueDepth
from workers.cli.status import queue_line
from workers.settings.settings import QUEUES


def depths(ready: dict[str, int], consumers: int | None, unacknowledged: int | None, idle: str = "") -> Depths:
    found = {name: QueueDepth(ready.get(name, 0), 0 if name == idle else consumers) for name in QUEUES}
    return Depths(found, unacknowledged)


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (None, "unknown"),
        (depths({}, 1, None), "empty"),
        (depths({}, None, 0), "empty"),
        (depths({"embedding": 1200, "scoring": 2}, None, 3), "embedding 1,200, scoring 2, with workers 3"),
        (depths({"embedding": 5}, 1, None, idle="embedding"), "embedding 5; no worker: embedding"),
        (depths({}, 1, None, idle="ingestion"), "empty"),  # started only for an import
    ],
)
def test_it_says_what_waits(found: Depths | None, line: str) -> None:
    assert queue_line(found) == line
