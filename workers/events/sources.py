"""How the event sources are: noted in Redis by who runs one, read by ``status``, the metrics and ``s3 doctor``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from workers.connection import Client, text, translated
from workers.layout import Keys

State = Literal["working", "deaf", "away", "refused"]
"""``deaf``: the server takes the request and sends nothing. ``refused``: it does not do this, or not for us."""


class Condition(msgspec.Struct, frozen=True):
    """How a source is, since when (Unix seconds), and why where it does not work."""

    state: State
    since: float
    reason: str = ""

    @property
    def broken(self) -> bool:
        """Whether it should work and does not. A server that has no listen API is not broken."""
        return self.state in {"deaf", "away"}


class Sources:
    """The conditions of event sources, by name. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, clock: Callable[[], float]) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.sources
        self._clock = clock

    def note(self, source: str, state: State, reason: str = "") -> None:
        """``source`` is so from now on, or still. Other states than before begin a new ``since``."""
        before = self.conditions().get(source)
        since = before.since if before is not None and before.state == state else self._clock()
        with translated():
            self._redis.hset(self._key, source, msgspec.json.encode(Condition(state, since, reason)))

    def forget(self, source: str) -> None:
        """Nobody runs it any more."""
        with translated():
            self._redis.hdel(self._key, source)

    def conditions(self) -> Mapping[str, Condition]:
        """What was noted last of each."""
        with translated():
            noted = self._redis.hgetall(self._key)
        return {text(source): msgspec.json.decode(body, type=Condition) for source, body in noted.items()}
