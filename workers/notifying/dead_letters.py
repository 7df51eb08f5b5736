"""Deliveries that were given up: listed, and sent once more when somebody says so."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import msgspec

from workers.notifying.delivery import Delivery
from workers.redis import scripts
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys

_ID = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")  # a digit fewer than the largest that Redis counts to


class DeadLetter(msgspec.Struct, frozen=True):
    """A delivery that was given up, without its body. ``since``: when it was taken from the feed, in Unix seconds."""

    id: str
    delivery: str
    type: str
    bucket: str
    key: str
    since: float
    died_at: float
    attempts: int
    reason: str


class DeadLetters:
    """The newest so many; the oldest are forgotten first. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._clock = clock
        self._replay = self._redis.register_script(scripts.source("replay_delivery"))

    def list(self, limit: int = 50, after: str | None = None) -> list[DeadLetter]:
        """Newest first; ``after``: only those that come after this one in that order. An id of none is no error."""
        if after is not None and not _ID.fullmatch(after):
            return []
        with translated():
            found = self._redis.xrevrange(self._keys.notify("dead"), f"({after}" if after else "+", count=limit)
        return [_letter(text(entry), _delivery(fields)) for entry, fields in found]

    def replay(self, letter: str) -> bool:
        """Send it again, at once and with as many attempts as a new one. ``False`` when there is none of this id.

        The delivery's own id stays, so a receiver that had it after all knows it.
        """
        if not _ID.fullmatch(letter):
            return False
        with translated():
            found = self._redis.xrange(self._keys.notify("dead"), letter, letter)
            if not found:
                return False
            fresh = msgspec.structs.replace(_delivery(found[0][1]), attempts=0, reason="")
            packed = msgspec.msgpack.encode(fresh)
            return bool(self._replay(args=[self._keys.prefix, letter, fresh.id, packed, self._clock()]))


def _delivery(fields: Any) -> Delivery:
    return msgspec.msgpack.decode(fields[b"delivery"], type=Delivery)


def _letter(entry: str, d: Delivery) -> DeadLetter:
    died = int(entry.partition("-")[0]) / 1000
    return DeadLetter(entry, d.id, d.type, d.bucket, d.key, d.since, died, d.attempts, d.reason)
