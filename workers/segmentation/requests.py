"""Wishes: objects that somebody asked to have segmented, until they have their record.

Kept beside the events, since any event of an object may come first: the gateway's, the watcher's, the sweep's. An
object that is on its way hears of it at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workers.redis import scripts
from workers.redis.connection import Client, raw, translated
from workers.redis.keys import Keys

LIFETIME_S = 7 * 86_400
NONE = "none"  # not at all, whatever was drawn before and whatever the settings say of its prefix


class SegmentationRequests:
    """Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._prefix = keys.prefix
        self._ask = self._redis.register_script(scripts.source("ask"))

    def ask(self, oids: Sequence[str], way: str) -> None:
        """Have these objects segmented; their events are another matter, and come after this."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for oid in oids:
                self._ask(args=[self._prefix, raw(oid), way, LIFETIME_S], client=pipe)
            pipe.execute()
