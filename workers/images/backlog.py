"""Objects that are to be tagged again and wait for a place in the low-priority inbox.

A caption that is near to everything concerns the whole archive. Its objects wait here, as compressed pages, and go
to the low-priority inbox a page at a time, when there is room. A page stays until all of it is in the inbox, and the
inbox takes an object once, so a repeated step changes nothing.

An object that waits in a page whose turn has not come is not added again: it is tagged after this, too.
"""

from __future__ import annotations

import secrets
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
LOOKED_AT = 20  # pages in which an object is looked for before it is added
LOCK_MS = 30_000  # after which whoever moves a page is considered dead
AHEAD = 1000  # objects in the low-priority inbox at which the others wait


TAKE = (
    "if redis.call('LINDEX', KEYS[1], 0) ~= ARGV[1] then return 0 end "
    "redis.call('LPOP', KEYS[1]) redis.call('DECRBY', KEYS[2], ARGV[2]) return 1"
)
UNLOCK = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"


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
            # the first one may be on its way to the inbox, and its objects may be begun before this
            pages = self._redis.lrange(self._keys.backlog, 1, LOOKED_AT)
            waiting = {oid for page in pages for oid in unpacked(page)}
            new = [oid for oid in dict.fromkeys(oids) if oid not in waiting]
            if not new:
                return
            pipe = self._redis.pipeline()
            pipe.rpush(self._keys.backlog, *packed(new))
            pipe.incrby(self._keys.backlog_objects, len(new))
            pipe.execute()

    def waiting(self) -> int:
        """The number of objects; one that was added twice counts twice."""
        with translated():
            return max(0, int(self._redis.get(self._keys.backlog_objects) or 0))

    def step(self) -> int:
        """Move one page to the low-priority inbox if there is room. Returns the number of its objects.

        Of several dispatchers one does it at a time, and a page that another one has moved meanwhile stays moved.
        """
        with translated():
            page = self._redis.lindex(self._keys.backlog, 0)
        if page is None or self._inbox.length() >= AHEAD:
            return 0
        lock, token = self._keys.lock("backlog"), secrets.token_hex(8)
        with translated():
            if not self._redis.set(lock, token, nx=True, px=LOCK_MS):
                return 0
        try:
            return self._move()
        finally:
            with translated():
                self._redis.eval(UNLOCK, 1, lock, token)

    def _move(self) -> int:
        with translated():
            page = self._redis.lindex(self._keys.backlog, 0)
        if page is None:
            return 0
        places = [oid.partition("/") for oid in unpacked(page)]
        # without an ETag, the dispatcher checks whether the object exists and which version it is
        self._inbox.append([ObjectEvent("created", bucket, key, force=True) for bucket, _, key in places])
        with translated():
            self._redis.eval(TAKE, 2, self._keys.backlog, self._keys.backlog_objects, page, len(places))
        return len(places)
