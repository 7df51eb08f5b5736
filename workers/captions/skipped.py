"""Captions that are skipped, since they end the process that reads them: in Redis, by captions version.

A caption is suspected when a process ended while it worked on this caption alone. After ``NEEDED`` times within
``WITHIN_S``, with a model that works for others, it is skipped: images are tagged without it. At most ``MOST`` of a
version are noted: if more captions seem to be at fault, it is something else.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from tasks.message_parts import Hit, Revision
from vectordb.decoders import from_msgpack
from workers.lifecycle.record_writer import token
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys

NEEDED = 2
MOST = 100
WITHIN_S = 24 * 3600.0  # a suspicion that is older was a coincidence


class SkippedCaption(msgspec.Struct, frozen=True):
    """A caption of a version that is skipped, or suspected. ``revision``: vector space and captions version.

    ``reason``: for people. ``times``: how often a process ended over it. ``at``: the last time, Unix seconds.
    """

    revision: str
    id: int
    caption: str
    reason: str
    times: int
    at: float

    @property
    def skipped(self) -> bool:
        """Whether it is skipped; otherwise it is suspected."""
        return self.times >= NEEDED

    def is_over(self, now: float) -> bool:
        """Whether it was suspected too long ago."""
        return not self.skipped and now - self.at > WITHIN_S

    @property
    def captions_version(self) -> str:
        """``NAME@VERSION``."""
        return self.revision.partition("/")[2]


class SkippedCaptions:
    """The list. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.skipped_captions

    def note(
        self, revision: Revision, hit: Hit, reason: str, now: float, *, sure: bool = False
    ) -> SkippedCaption | None:
        """Note that a caption did harm. ``sure``: skip it at once. ``None`` if there are too many to believe it."""
        field = _field(revision, hit.id)
        with translated():
            noted_before = self._noted()
            if over := [name for name, one in noted_before.items() if one is not None and one.is_over(now)]:
                self._redis.hdel(self._key, *over)
            known = None if field in over else noted_before.get(field)
            begin = f"{token(revision)} "
            if known is None and sum(name.startswith(begin) for name in noted_before.keys() - over) >= MOST:
                return None
            times = known.times if known is not None and known.caption == hit.caption else 0
            times = NEEDED if sure else times + 1
            noted = SkippedCaption(token(revision), hit.id, hit.caption, reason, times, now)
            self._redis.hset(self._key, field, msgspec.msgpack.encode(noted))
        return noted

    def take_back(self, revision: Revision, hit: Hit) -> None:
        """The model fails for others, too: what was noted last of this caption was not its fault."""
        field = _field(revision, hit.id)
        with translated():
            known = self._read(self._redis.hget(self._key, field))
            if known is None:
                return
            if known.times <= 1:
                self._redis.hdel(self._key, field)
            else:
                self._redis.hset(self._key, field, msgspec.msgpack.encode(replace(known, times=known.times - 1)))

    def all(self) -> list[SkippedCaption]:
        """Those that are skipped, of all versions, the last first."""
        with translated():
            found = [one for one in self._noted().values() if one is not None and one.skipped]
        return sorted(found, key=lambda one: (-one.at, one.id))

    def of(self, revision: Revision) -> dict[int, str]:
        """The skipped captions of a version by their id."""
        return {one.id: one.caption for one in self.all() if one.revision == token(revision)}

    def forget(self, space_id: str | None = None, captions_version: str | None = None) -> int:
        """Read them again, also those that are suspected: of this version, or all. Returns how many were skipped."""
        begin = "" if captions_version is None else f"{space_id}/{captions_version} "
        with translated():
            mine = {field: one for field, one in self._noted().items() if field.startswith(begin)}
            if mine:
                self._redis.hdel(self._key, *mine)
        return sum(one is not None and one.skipped for one in mine.values())

    def _noted(self) -> dict[str, SkippedCaption | None]:
        """What is noted, by field; ``None`` for what another release has written."""
        return {text(field): self._read(value) for field, value in self._redis.hgetall(self._key).items()}

    def _read(self, value: bytes | None) -> SkippedCaption | None:
        try:
            return None if value is None else from_msgpack(value, SkippedCaption)
        except msgspec.DecodeError:  # of another release: found again if it is so
            return None


def _field(revision: Revision, number: int) -> str:
    return f"{token(revision)} {number}"
