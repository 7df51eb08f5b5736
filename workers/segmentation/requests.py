"""Segmentation requests, kept in Redis until the object has a record.

They are separate from events, because any event of an object may arrive first: from the gateway, the watcher or the
reconciler. An object that is already being processed gets the request at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workers.redis import scripts
from workers.redis.connection import Client, raw, translated
from workers.redis.keys import Keys
from workers.redis.script_calls import call_together

LIFETIME_S = 7 * 86_400
NONE = "none"  # do not segment, regardless of the previous record and of WILDTAG_SEGMENT_PREFIXES


class SegmentationRequests:
    """Stores segmentation requests. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._ask = self._redis.register_script(scripts.source("ask"))

    def ask(self, oids: Sequence[str], method: str) -> None:
        """Request a segmentation of these objects. Their events must be appended after this."""
        k = self._keys
        calls = [
            ((k.segmenting, k.entry(oid), k.segmentation_request(oid)), (raw(oid), method, LIFETIME_S))
            for oid in oids
        ]
        with translated():
            call_together(self._redis, self._ask, calls)

    def pending(self, oids: Sequence[str]) -> list[bool]:
        """Whether there is a request for each of these objects, also one not to segment it."""
        if not oids:
            return []
        with translated():
            return [value is not None for value in self._redis.mget(list(map(self._keys.segmentation_request, oids)))]
