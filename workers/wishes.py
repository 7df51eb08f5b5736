"""Wishes: objects that somebody asked to have segmented, until they have their record.

Kept beside the events, since any event of an object may come first: the gateway's, the watcher's, the sweep's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workers.connection import Client, text, translated
from workers.layout import Keys

LIFETIME_S = 7 * 86_400
NONE = "none"  # not at all, whatever was drawn before and whatever the settings say of its prefix


class Wishes:
    """Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys

    def ask(self, oids: Sequence[str], way: str) -> None:
        """Have these objects segmented; their events are another matter, and come after this."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for oid in oids:
                pipe.set(self._keys.wish(oid), way, ex=LIFETIME_S)
            pipe.execute()

    def of(self, oids: Sequence[str]) -> list[str]:
        """The way that is wished for each object; empty where nobody asked."""
        if not oids:
            return []
        with translated():
            return [text(way or b"") for way in self._redis.mget([self._keys.wish(oid) for oid in oids])]
