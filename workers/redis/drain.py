"""A drain: events are stored, and nothing is handed out to workers until it ends. It survives all processes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys

CONFIRMED = "confirmed:"  # begins the fields of dispatchers


@dataclass(frozen=True)
class Draining:
    """``since``: Unix seconds. ``confirmed``: the dispatchers that hand out nothing any more.

    ``earlier``: those that have confirmed this drain at any time. Such a one hands out nothing while it is in force,
    even if it was suspended since.
    """

    since: float
    token: str
    confirmed: frozenset[str] = frozenset()
    earlier: frozenset[str] = frozenset()


class Drain:
    """Begins and ends a drain. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        """``clock``: Unix seconds."""
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.drain
        self._clock = clock

    def begin(self) -> Draining:
        """Begin one, unless one is in force. Dispatchers confirm it (again)."""
        token = secrets.token_hex(8)
        with translated():
            pipe = self._redis.pipeline(transaction=True)
            pipe.hsetnx(self._key, "since", self._clock())
            pipe.hset(self._key, "token", token)
            pipe.execute()
        return self.read() or Draining(self._clock(), token)  # somebody has ended it at once

    def end(self) -> bool:
        """End it. Returns whether one was in force."""
        with translated():
            return bool(self._redis.delete(self._key))

    def read(self) -> Draining | None:
        """The drain in force, if any."""
        with translated():
            found = {text(name): text(value) for name, value in self._redis.hgetall(self._key).items()}
        if "since" not in found:
            return None
        token = found.get("token", "")
        by = {name.removeprefix(CONFIRMED): seen for name, seen in found.items() if name.startswith(CONFIRMED)}
        now = frozenset(name for name, seen in by.items() if seen == token)
        return Draining(float(found["since"]), token, now, frozenset(by))

    def confirm(self, draining: Draining, process: str) -> None:
        """Say that a dispatcher hands out nothing any more, unless it has said so before."""
        if process in draining.confirmed:
            return
        with translated():
            # in one transaction: a drain that ends meanwhile must not come back as a field
            pipe = self._redis.pipeline(transaction=True)
            pipe.hset(self._key, f"{CONFIRMED}{process}", draining.token)
            pipe.hexists(self._key, "since")
            if not pipe.execute()[1]:
                self._redis.delete(self._key)
