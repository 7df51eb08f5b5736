"""How many events wait in an inbox, and for how long: of all its streams, without reading them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from workers.redis.connection import Client, text, translated
from workers.redis.partition_faults import of_partition
from workers.redis.streams import added_at


class InboxState(msgspec.Struct, frozen=True):
    """``since``: when the oldest arrived, Unix seconds; ``None`` without any."""

    events: int
    since: float | None


class InboxReader:
    """Reads streams: each with the client of its server, in order of the partitions. Raises ``StoreUnavailable``."""

    def __init__(self, streams: Sequence[tuple[Client, str]]) -> None:
        self._streams = streams

    def read(self) -> InboxState:
        """All of them together."""
        events, times = 0, []
        for partition, (client, key) in enumerate(self._streams):
            redis: Any = client  # redis-py types every answer as "awaitable or value"
            with of_partition(partition), translated():
                pipe = redis.pipeline(transaction=False)
                pipe.xlen(key)
                pipe.xrange(key, count=1)
                length, first = pipe.execute()
            events += length
            times += [added_at(text(entry)) for entry, _ in first]
        return InboxState(events, min(times, default=None))
