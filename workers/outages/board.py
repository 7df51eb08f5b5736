"""The outages of all processes, in one Redis hash that everybody reads.

A process writes its own again every few seconds. What was not written again for ``FRESH_S`` is of a process that was
killed, and counts no more; the hash itself expires when nobody writes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from workers.redis.connection import Client, raw, translated
from workers.redis.keys import Keys

REFRESH_S = 5.0
FRESH_S = 20.0


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """Something that work waits for. ``since``: Unix seconds. ``waiting``: how many objects, where that is known."""

    name: str
    reason: str
    since: float | None
    waiting: int | None = None


class _Note(msgspec.Struct, frozen=True, kw_only=True):
    """``at``: when it was written last (Unix seconds)."""

    outage: Outage
    at: float


class Board:
    """What one process writes, and what all have written. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, process: str, clock: Callable[[], float]) -> None:
        """``process``: another for every process, as ``HOST-PID``."""
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.outages
        self._process = process
        self._clock = clock
        self._written: set[bytes] = set()

    def write(self, standing: list[Outage]) -> None:
        """Replace what this process has noted."""
        now = self._clock()
        notes = {
            raw(f"{self._process} {one.name}"): msgspec.msgpack.encode(_Note(outage=one, at=now)) for one in standing
        }
        self._written |= notes.keys()
        gone = self._written - notes.keys()
        with translated():
            pipe = self._redis.pipeline(transaction=True)
            if gone:
                pipe.hdel(self._key, *gone)
            if notes:
                pipe.hset(self._key, mapping=notes)
                pipe.expire(self._key, int(FRESH_S * 3))
            pipe.execute()
        self._written -= gone

    def read(self) -> list[Outage]:
        """What stands in the way of any process, once each: since it began for the first, as the last one put it."""
        now = self._clock()
        with translated():
            packed = self._redis.hvals(self._key)
        notes = sorted(filter(None, map(_read, packed)), key=lambda note: note.at)
        found: dict[str, Outage] = {}
        for note in notes:
            if now - note.at <= FRESH_S:
                one = note.outage
                found[one.name] = merged(found.get(one.name), one)
        return sorted(found.values(), key=lambda one: one.name)


def _read(packed: bytes) -> _Note | None:
    """A note; ``None`` for one of another version of wildtag."""
    try:
        return msgspec.msgpack.decode(packed, type=_Note)
    except msgspec.DecodeError:
        return None


def merged(before: Outage | None, after: Outage) -> Outage:
    """Two notes of one outage as one: the earlier beginning, the later reason, the larger number."""
    if before is None:
        return after
    times = [one.since for one in (before, after) if one.since is not None]
    counts = [one.waiting for one in (before, after) if one.waiting is not None]
    return Outage(
        name=after.name, reason=after.reason, since=min(times, default=None), waiting=max(counts, default=None)
    )
