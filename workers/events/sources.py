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
    """How a source is, since when (Unix seconds), why where it does not work, and when that was noted last."""

    state: State
    since: float
    reason: str = ""
    at: float = 0.0

    @property
    def broken(self) -> bool:
        """Whether it should work and does not. A server that has no listen API is not broken."""
        return self.state in {"deaf", "away"}


class Sightings:
    """When the events of probes came, by the clock of Redis. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.sightings

    def now(self) -> float:
        """Unix seconds, as Redis has them."""
        with translated():
            seconds, microseconds = self._redis.time()
        return float(seconds + microseconds / 1e6)

    def of(self, oid: str) -> dict[str, float]:
        """Source → when it first told of an object (Unix seconds, to the millisecond)."""
        with translated():
            entries = self._redis.xrevrange(self._key)
        return {
            text(fields[b"source"]): int(text(entry).partition("-")[0]) / 1000
            for entry, fields in entries if text(fields[b"oid"]) == oid
        }  # fmt: skip


class Sources:
    """The conditions of event sources, by name. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, clock: Callable[[], float]) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.sources
        self._clock = clock

    def note(self, source: str, state: State, reason: str = "") -> None:
        """``source`` is so from now on, or still. Other states than before begin a new ``since``."""
        before = self.conditions().get(source)
        now = self._clock()
        since = before.since if before is not None and before.state == state else now
        with translated():
            self._redis.hset(self._key, source, msgspec.json.encode(Condition(state, since, reason, now)))

    def forget(self, source: str) -> None:
        """Nobody runs it any more."""
        with translated():
            self._redis.hdel(self._key, source)

    def conditions(self) -> Mapping[str, Condition]:
        """What was noted last of each."""
        with translated():
            noted = self._redis.hgetall(self._key)
        return {text(source): msgspec.json.decode(body, type=Condition) for source, body in noted.items()}
