"""Objects that are to be tagged again and wait for a place in the low-priority inbox.

A caption that is near to everything concerns the whole archive. Its objects wait here, as compressed pages, and go
to the low-priority inbox a page at a time, when there is room. A page stays until all of it is in the inbox, and the
inbox takes an object once, so a repeated step changes nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import msgspec

from vectordb.decoders import from_msgpack
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import EventInbox
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys

PAGE = 500  # objects of a page
AHEAD = 1000  # objects in the low-priority inbox at which the others wait


def packed(oids: Sequence[str]) -> list[bytes]:
    """Pages of objects (``bucket/key``) as they are stored."""
    parts = [oids[start : start + PAGE] for start in range(0, len(oids), PAGE)]
    return [zlib.compress(msgspec.msgpack.encode(list(map(raw, part))), 1) for part in parts]


def unpacked(page: bytes) -> list[str]:
    """The objects of a page."""
    return list(map(text, from_msgpack(zlib.decompress(page), list[bytes])))


class Backlog:
    """The waiting objects, in Redis. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, low_priority_inbox: EventInbox) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._inbox = low_priority_inbox

    def add(self, oids: Sequence[str]) -> None:
        """Have these objects tagged again."""
        if not oids:
            return
        with translated():
            pipe = self._redis.pipeline()
            pipe.rpush(self._keys.backlog, *packed(oids))
            pipe.incrby(self._keys.backlog_objects, len(oids))
            pipe.execute()

    def waiting(self) -> int:
        """The number of objects; one that was added twice counts twice."""
        with translated():
            return max(0, int(self._redis.get(self._keys.backlog_objects) or 0))

    def step(self) -> int:
        """Move one page to the low-priority inbox if there is room. Returns the number of its objects.

        For one process: the dispatcher.
        """
        if self._inbox.length() >= AHEAD:
            return 0
        with translated():
            page = self._redis.lindex(self._keys.backlog, 0)
        if page is None:
            return 0
        places = [oid.partition("/") for oid in unpacked(page)]
        # without an ETag, the dispatcher checks whether the object exists and which version it is
        self._inbox.append([ObjectEvent("created", bucket, key, force=True) for bucket, _, key in places])
        with translated():
            pipe = self._redis.pipeline()
            pipe.lpop(self._keys.backlog)
            pipe.decrby(self._keys.backlog_objects, len(places))
            pipe.execute()
        return len(places)
