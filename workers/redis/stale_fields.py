"""Removes the fields of processes that are gone from hashes that all processes write to.

Such a hash has a lifetime that every process renews, so the fields of killed processes, whose names never come again,
would stay as long as anything runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from workers.redis.connection import Client, translated

LOOK_EVERY_S = 300.0
TIMES = 10  # as old as this many times the age at which it counts as gone: a process may have been suspended


class StaleFields:
    """The fields of one hash. ``at`` reads from a value when it was written (Unix seconds), ``None`` if it cannot.

    ``fresh_s``: age at which a field no longer counts.
    """

    def __init__(self, client: Client, key: str, at: Callable[[bytes], float | None], fresh_s: float) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = key
        self._at = at
        self._stale_s = TIMES * fresh_s
        self._due = 0.0

    def remove(self, now: float) -> None:
        """Remove those that are stale, if that was not done recently. Raises ``StoreUnavailable``."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + LOOK_EVERY_S
        with translated():
            fields = self._redis.hgetall(self._key)
            stale = [name for name, value in fields.items() if self._is_stale(value, now)]
            if stale:
                self._redis.hdel(self._key, *stale)

    def _is_stale(self, value: bytes, now: float) -> bool:
        at = self._at(value)
        return at is not None and at < now - self._stale_s
