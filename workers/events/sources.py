"""The state of the event sources: written to Redis by each source, read by ``status``, metrics and ``s3 doctor``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from vectordb.decoders import from_json
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.redis.streams import added_at

State = Literal["working", "deaf", "away", "refused"]
"""``deaf``: the server accepts the request but sends nothing. ``refused``: not supported, or not permitted."""


class Condition(msgspec.Struct, frozen=True):
    """State of a source, since when (Unix seconds), why if it does not work, and when that was last reported."""

    state: State
    since: float
    reason: str = ""
    at: float = 0.0


class _Note(Condition, frozen=True):
    """``lasts_s``: an older note was left by a process that has ended; 0: it never expires."""

    lasts_s: float = 0.0

    def condition(self, now: float) -> Condition:
        """The condition at a given time."""
        if self.lasts_s and now - self.at > self.lasts_s:
            return Condition("away", self.at, "the listener process has ended", self.at)
        return Condition(self.state, self.since, self.reason, self.at)


class EventProbes:
    """When the events of probe objects arrived, by the clock of Redis. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.event_probes

    def now(self) -> float:
        """The time of Redis in Unix seconds."""
        with translated():
            seconds, microseconds = self._redis.time()
        return float(seconds + microseconds / 1e6)

    def of(self, oid: str) -> dict[str, float]:
        """Source → when it first reported an object (Unix seconds, millisecond resolution)."""
        with translated():
            entries = self._redis.xrevrange(self._key)
        return {
            text(fields[b"source"]): added_at(text(entry))
            for entry, fields in entries if text(fields[b"oid"]) == oid
        }  # fmt: skip


class Sources:
    """The conditions of event sources, by name. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, clock: Callable[[], float]) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.sources
        self._clock = clock

    def note(self, source: str, state: State, reason: str = "", lasts_s: float = 0.0) -> None:
        """Set the state of ``source``. A change of state starts a new ``since``.

        ``lasts_s``: the state expires after this time unless it is set again; 0: never.
        """
        before = self.conditions().get(source)
        now = self._clock()
        since = before.since if before is not None and before.state == state else now
        with translated():
            self._redis.hset(self._key, source, msgspec.json.encode(_Note(state, since, reason, now, lasts_s)))

    def forget(self, source: str) -> None:
        """Remove a source that no longer runs."""
        with translated():
            self._redis.hdel(self._key, source)

    def conditions(self) -> Mapping[str, Condition]:
        """The last state of each source; ``away`` if the process that reported it has ended."""
        with translated():
            noted = self._redis.hgetall(self._key)
        now = self._clock()
        return {text(source): from_json(body, _Note).condition(now) for source, body in noted.items()}
