"""Deliveries that failed permanently: listed, and sent again on request."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import msgspec

from vectordb.decoders import from_msgpack
from workers.notifying.delivery import Delivery
from workers.redis import scripts
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys

_ID = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")  # one digit less than the largest id in Redis


def is_id(text: str) -> bool:
    """Whether this can be the id of a dead letter. The smallest id, ``0-0``, is never used, and Redis refuses it."""
    return _ID.fullmatch(text) is not None and set(text) != {"0", "-"}


class DeadLetter(msgspec.Struct, frozen=True):
    """A delivery that was given up, without its body. ``since``: when it was read from the feed (Unix seconds)."""

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
    """A limited number of dead letters; the oldest are deleted first. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._clock = clock
        self._replay = self._redis.register_script(scripts.source("replay_delivery"))

    def list(self, limit: int = 50, after: str | None = None) -> list[DeadLetter]:
        """Newest first; ``after``: only those that follow this one. An unknown id is not an error."""
        if after is not None and not is_id(after):
            return []
        with translated():
            found = self._redis.xrevrange(self._keys.notify("dead"), f"({after}" if after else "+", count=limit)
        return [_letter(text(entry), _delivery(fields)) for entry, fields in found]

    def replay(self, letter: str) -> bool:
        """Send it again, now and with the attempts of a new delivery. ``False`` if the id is unknown.

        The delivery keeps its own id, so a receiver that already has it can recognise it.
        """
        if not _ID.fullmatch(letter):
            return False
        with translated():
            found = self._redis.xrange(self._keys.notify("dead"), letter, letter)
            if not found:
                return False
            fresh = msgspec.structs.replace(_delivery(found[0][1]), attempts=0, reason="")
            packed = msgspec.msgpack.encode(fresh)
            return bool(
                self._replay(
                    keys=[self._keys.notify(name) for name in ("waiting", "due", "dead")],
                    args=[letter, fresh.id, packed, self._clock()],
                )
            )


def _delivery(fields: Any) -> Delivery:
    return from_msgpack(fields[b"delivery"], Delivery)


def _letter(entry: str, d: Delivery) -> DeadLetter:
    died = int(entry.partition("-")[0]) / 1000
    return DeadLetter(entry, d.id, d.type, d.bucket, d.key, d.since, died, d.attempts, d.reason)
