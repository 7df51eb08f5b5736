"""How the event sources are: noted in Redis by who runs one, read by ``status``, the metrics and ``s3 doctor``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys

State = Literal["working", "deaf", "away", "refused"]
"""``deaf``: the server takes the request and sends nothing. ``refused``: it does not do this, or not for us."""


class Condition(msgspec.Struct, frozen=True):
    """How a source is, since when (Unix seconds), why where it does not work, and when that was noted last."""

    state: State
    since: float
    reason: str = ""
    at: float = 0.0


class _Note(Condition, frozen=True):
    """``lasts_s``: a note that is older was left by a process that has ended; 0: it stays true."""

    lasts_s: float = 0.0

    def condition(self, now: float) -> Condition:
        """What it says at a time."""
        if self.lasts_s and now - self.at > self.lasts_s:
            return Condition("away", self.at, "the process that listens has ended", self.at)
        return Condition(self.state, self.since, self.reason, self.at)


class EventProbes:
    """When the events of probes came, by the clock of Redis. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.event_probes

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

    def note(self, source: str, state: State, reason: str = "", lasts_s: float = 0.0) -> None:
        """``source`` is so from now on, or still. Other states than before begin a new ``since``.

        ``lasts_s``: it is said again sooner than that as long as it is true; 0: it stays true.
        """
        before = self.conditions().get(source)
        now = self._clock()
        since = before.since if before is not None and before.state == state else now
        with translated():
            self._redis.hset(self._key, source, msgspec.json.encode(_Note(state, since, reason, now, lasts_s)))

    def forget(self, source: str) -> None:
        """Nobody runs it any more."""
        with translated():
            self._redis.hdel(self._key, source)

    def conditions(self) -> Mapping[str, Condition]:
        """What was noted last of each; ``away`` where whoever noted it has ended."""
        with translated():
            noted = self._redis.hgetall(self._key)
        now = self._clock()
        return {text(source): msgspec.json.decode(body, type=_Note).condition(now) for source, body in noted.items()}
