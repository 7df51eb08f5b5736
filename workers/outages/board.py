"""The outages of all processes, in one Redis hash that every process can read.

A process renews its entries every few seconds. Entries that were not renewed for ``FRESH_S`` belong to a process that
was killed and are ignored. The hash expires when no process writes to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from vectordb.decoders import from_msgpack
from workers.redis.connection import Client, raw, translated
from workers.redis.keys import Keys
from workers.redis.stale_fields import StaleFields

REFRESH_S = 5.0
FRESH_S = 20.0


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """An outage that work waits for. ``since``: Unix seconds. ``waiting``: number of objects, if known."""

    name: str
    reason: str
    since: float | None
    waiting: int | None = None


class _Note(msgspec.Struct, frozen=True, kw_only=True):
    """``at``: when it was last written (Unix seconds)."""

    outage: Outage
    at: float


class OutageBoard:
    """Writes this process's outages and reads those of all processes. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, process: str, clock: Callable[[], float]) -> None:
        """``process``: a unique name per process, such as ``HOST-PID``."""
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.outages
        self._process = process
        self._clock = clock
        self._written: set[bytes] = set()
        self._stale = StaleFields(client, keys.outages, _written_at, FRESH_S)

    def write(self, standing: list[Outage]) -> None:
        """Replace the outages of this process."""
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
        self._stale.remove(now)

    def read(self) -> list[Outage]:
        """The outages of all processes, one per service: the earliest start with the latest reason."""
        now = self._clock()
        with translated():
            packed = self._redis.hvals(self._key)
        notes = sorted(filter(None, map(_read, packed)), key=lambda note: note.at)
        found: dict[str, Outage] = {}
        for note in notes:
            if abs(now - note.at) <= FRESH_S:  # of the future: the clock was set back since, and it was not renewed
                one = note.outage
                found[one.name] = merged(found.get(one.name), one)
        return sorted(found.values(), key=lambda one: one.name)


def _read(packed: bytes) -> _Note | None:
    """Decode a note; ``None`` if another version of wildtag wrote it."""
    try:
        return from_msgpack(packed, _Note)
    except msgspec.DecodeError:
        return None


def _written_at(packed: bytes) -> float | None:
    note = _read(packed)
    return None if note is None else note.at


def merged(before: Outage | None, after: Outage) -> Outage:
    """Merge two notes of one outage: the earlier start, the later reason, the larger number."""
    if before is None:
        return after
    times = [one.since for one in (before, after) if one.since is not None]
    counts = [one.waiting for one in (before, after) if one.waiting is not None]
    return Outage(
        name=after.name, reason=after.reason, since=min(times, default=None), waiting=max(counts, default=None)
    )
