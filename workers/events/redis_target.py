"""Reads the output of MinIO's Redis target, in both of its formats.

``access``: a list with every event. Entries are read, stored, and only then removed, and only those that are still at
the head of the list. If the process is killed in between, an entry is processed twice but never lost. Several readers
do not disturb each other.

``namespace``: a hash of the current objects. It is read repeatedly and compared with a hash of our own
(``workers.redis.keys``) that holds what was already passed to the inbox. Memory use does not grow with either. An
object that appears and disappears between two reads is missed, and every read transfers the whole hash, so prefer
``access``.

The list or hash may be on another Redis server. All methods raise ``StoreUnavailable`` when either server is
unavailable, and may then be called again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from redis.exceptions import ResponseError

from tasks.message_parts import place_of
from vectordb.errors import Permanent
from workers.events.notification import Notification, access_entry, namespace_value
from workers.events.sink import Command, EventSink, received_events
from workers.lifecycle.event import ObjectEvent
from workers.redis.connection import Client, translated
from workers.redis.keys import Keys

SOURCE = "redis"
TARGET = "redis-target"  # the service name used when the Redis server of the list or hash is unavailable
PAGE = 200  # list entries or hash fields per request

# Remove entries from the head of a list while they equal those that were stored; equal entries have equal meaning.
_TAKE = """
local taken = 0
for _, digest in ipairs(ARGV) do
    local head = redis.call('LINDEX', KEYS[1], 0)
    if not head or redis.sha1hex(head) ~= digest then break end
    redis.call('LPOP', KEYS[1])
    taken = taken + 1
end
return taken
"""


class WrongFormat(Permanent):
    """The key holds data of the other format, or something else."""


class AccessList:
    """The list ``key`` on ``target``, filtered to the events of one bucket."""

    def __init__(self, target: Client, key: str, bucket: str, event_sink: EventSink) -> None:
        self._redis: Any = target  # redis-py types every answer as "awaitable or value"
        self._key = key
        self._bucket = bucket
        self._event_sink = event_sink
        self._take: Any = target.register_script(_TAKE)

    def step(self) -> int:
        """Store one page of entries and remove them from the list. Returns their number."""
        entries = self._page()
        if entries:
            self._event_sink.store([received_events(SOURCE, access_entry(e, self._bucket), e) for e in entries])
            self._remove(entries)
        return len(entries)

    def _page(self) -> list[bytes]:
        with translated(TARGET), _explained(self._key, "access"):
            page: list[bytes] = self._redis.lrange(self._key, 0, PAGE - 1)
        return page

    def _remove(self, entries: Sequence[bytes]) -> None:
        digests = [hashlib.sha1(entry, usedforsecurity=False).hexdigest() for entry in entries]
        with translated(TARGET):
            self._take(keys=[self._key], args=digests)


class NamespaceHash:
    """The hash ``key`` on ``target``. ``here`` is our own Redis, which stores what was already processed."""

    def __init__(
        self, target: Client, key: str, bucket: str, event_sink: EventSink, here: Client, keys: Keys
    ) -> None:
        self._redis: Any = target  # as above
        self._here: Any = here
        self._key = key
        self._seen = keys.redis_target(key)
        self._bucket = bucket
        self._event_sink = event_sink

    def step(self) -> int:
        """Read the whole hash once and store events for changed and removed fields. Returns their number."""
        changed = sum(self._changed(page) for page in self._pages())
        return changed + sum(self._vanished(page) for page in self._seen_pages())

    def _pages(self) -> Iterator[dict[bytes, bytes]]:
        cursor = -1
        while cursor:
            with translated(TARGET), _explained(self._key, "namespace"):
                cursor, page = self._redis.hscan(self._key, cursor=max(cursor, 0), count=PAGE)
            if page:
                yield page

    def _seen_pages(self) -> Iterator[list[bytes]]:
        cursor = -1
        while cursor:
            with translated():
                cursor, page = self._here.hscan(self._seen, cursor=max(cursor, 0), count=PAGE)
            if page:
                yield list(page)

    def _changed(self, page: dict[bytes, bytes]) -> int:
        with translated():
            before = self._here.hmget(self._seen, list(page))
        received, also = [], list[Command]()
        for (field, value), known in zip(page.items(), before, strict=True):
            notification = namespace_value(value, self._bucket, _text(field))
            version = _version(notification, value)
            if version != known:
                received.append(received_events(SOURCE, notification, value))
                also.append(("HSET", self._seen, field, version))
        if also:
            self._event_sink.store(received, also)
        return len(also)

    def _vanished(self, fields: list[bytes]) -> int:
        with translated(TARGET):
            pipe = self._redis.pipeline(transaction=False)
            for field in fields:
                pipe.hexists(self._key, field)
            there = pipe.execute()
        gone = [field for field, exists in zip(fields, there, strict=True) if not exists]
        if gone:
            received = [received_events(SOURCE, self._removed(field), field) for field in gone]
            self._event_sink.store(received, [("HDEL", self._seen, *gone)])
        return len(gone)

    def _removed(self, field: bytes) -> Notification:
        place = _text(field)
        if place is None:
            return Notification()  # its value was rejected when it was read
        bucket, key = place_of(place)
        if bucket != self._bucket or not key:
            return Notification()
        return Notification(events=(ObjectEvent("removed", bucket, key),))


def _text(field: bytes) -> str | None:
    try:
        return field.decode()
    except UnicodeDecodeError:
        return None


def _version(notification: Notification, value: bytes) -> bytes:
    """Identify an object's version: notifications that do not change the object, such as new tags, keep it equal."""
    if len(notification.events) == 1 and (notification.events[0].etag or notification.events[0].kind == "removed"):
        event = notification.events[0]
        return f"{event.kind} {event.etag} {event.version_id or ''}".encode()
    return b"? " + hashlib.sha1(value, usedforsecurity=False).digest()


@contextmanager
def _explained(key: str, wanted: str) -> Iterator[None]:
    try:
        yield
    except ResponseError as exc:
        if "WRONGTYPE" not in str(exc):
            raise
        raise WrongFormat(
            f"the key {key} does not hold the format {wanted}: set WILDTAG_REDIS_TARGET_FORMAT to the"
            " value of MINIO_NOTIFY_REDIS_FORMAT"
        ) from exc
