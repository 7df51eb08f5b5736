"""How much of Redis unfinished batches may occupy: their number, and the number of their objects.

An owner may have as many objects and batches as there is room for others. Batches that nobody asks for are looked at
from time to time, so that finished ones make room.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from vectordb.errors import Permanent
from workers.dispatch.batch_objects import BatchObjects
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys

UNFINISHED = 1000  # batches
PREFIXES = 50  # of these, batches over a prefix whose objects are not all listed
OPEN = 100_000  # objects of all batches that are not known to be finished
LEAST = 500  # objects that each owner may have if they are free
AHEAD_S = 60.0  # by which the clock of another process may be ahead
LOOK_S = 1.0  # between two looks whether a batch is finished


class BatchesFull(Permanent):
    """There are too many unfinished batches, or objects in them. ``share``: only too many of one owner."""

    def __init__(self, text: str, *, share: bool) -> None:
        super().__init__(text)
        self.share = share


class BatchRoom:
    """The unfinished batches. Raises ``StoreUnavailable``."""

    def __init__(
        self, client: Client, keys: Keys, clock: Callable[[], float] = time.time, objects: BatchObjects | None = None
    ) -> None:
        """``objects``: of the batches, if they are in several partitions."""
        self._objects = objects
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._clock = clock

    def check(self, count: int, owner: str) -> None:
        """Raises ``BatchesFull`` if a batch of ``count`` objects cannot be kept. ``owner``: empty for nobody's."""
        with translated():
            ids = [text(batch) for batch in self._redis.zrange(self._keys.batches_unfinished, 0, -1)]
            pipe = self._redis.pipeline(transaction=False)
            for batch in ids:
                pipe.hget(self._keys.batch(batch), "owner")
                if self._objects is None:
                    pipe.zcard(self._keys.batch(batch, "open"))
            answers = pipe.execute()
        if self._objects is None:
            sizes = list(zip(answers[::2], answers[1::2], strict=True))
        else:
            sizes = list(zip(answers, self._objects.number_open(ids), strict=True))
        taken, mine = sum(size for _, size in sizes), [size for by, size in sizes if by == owner.encode()]
        free = OPEN - taken - count
        if len(ids) >= UNFINISHED or free < 0:
            raise BatchesFull(f"{len(ids):,} unfinished batches have {taken:,} objects", share=False)
        if owner and (len(mine) > UNFINISHED - len(ids) or sum(mine) + count > max(LEAST, free)):
            raise BatchesFull(f"{len(mine):,} unfinished batches of this key have {sum(mine):,} objects", share=True)

    def check_prefix(self, owner: str) -> None:
        """Raises ``BatchesFull`` if no further batch over a prefix can be listed."""
        with translated():
            listed = int(self._redis.scard(self._keys.batches))
        if listed >= PREFIXES:
            raise BatchesFull(f"{listed} batches over prefixes are being listed", share=False)
        self.check(0, owner)

    def begun(self, pipe: Any, batch: str) -> None:
        """Add a new batch, with a pipeline."""
        pipe.zadd(self._keys.batches_unfinished, {batch: self._clock()})

    def ended(self, batch: str) -> None:
        """Remove a batch that is finished or has expired."""
        with translated():
            self._redis.zrem(self._keys.batches_unfinished, batch)

    def has(self, batch: str) -> bool:
        """Whether a batch is not known to be finished."""
        with translated():
            return self._redis.zscore(self._keys.batches_unfinished, batch) is not None

    def due(self, limit: int) -> list[str]:
        """Unfinished batches not looked at for ``LOOK_S``, longest ago first. They count as looked at now."""
        now = self._clock()
        with translated():
            found = self._redis.zrangebyscore(self._keys.batches_unfinished, "-inf", now - LOOK_S, 0, limit)
            if not found:  # the clock was set back
                found = self._redis.zrangebyscore(self._keys.batches_unfinished, now + AHEAD_S, "+inf", 0, limit)
            if found:
                self._redis.zadd(self._keys.batches_unfinished, dict.fromkeys(found, now), xx=True)
        return [text(batch) for batch in found]

    def number(self) -> int:
        """The number of unfinished batches."""
        with translated():
            return int(self._redis.zcard(self._keys.batches_unfinished))
