"""What ``wildtag size`` says of the memory of Redis is what a Redis with so many records uses."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from ops.bench.made_up_records import MadeUpRecords
from ops.bench.private_redis import private_redis
from ops.bench.records import PREFIX, write
from workers.diagnostics.sizing import FEED_LENGTH, Demand, figures, size
from workers.lifecycle.ledger import Ledger
from workers.redis.keys import Keys

RECORDS = 4000


def test_the_memory_of_redis_is_predicted(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("r")
    link = Path(tempfile.gettempdir()) / f"wt-size-{time.time_ns() % 10**9}"  # the path of a socket must be short
    link.symlink_to(folder)
    try:
        with private_redis(link) as (client, _):
            write(Ledger(client, Keys(PREFIX), FEED_LENGTH), MadeUpRecords().records(RECORDS, time.time()))
            memory: Any = client.info("memory")
    finally:
        link.unlink()
    predicted = size(Demand(images_a_day=0, archive=RECORDS), figures()).redis_data
    assert memory["used_memory"] - memory["mem_aof_buffer"] == pytest.approx(predicted, rel=0.25)
