"""The inbox: a Redis stream of object events that no dispatcher has dealt with yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from redis.exceptions import ResponseError

from workers.connection import Client, text, translated
from workers.events.event import ObjectEvent

GROUP = "dispatcher"


def fields(event: ObjectEvent) -> dict[Any, Any]:
    """An event as an entry of the stream."""
    return {"event": msgspec.msgpack.encode(event)}


class Inbox:
    """Append events; read them with a consumer group; forget them once they are dealt with.

    An event that was read and never acknowledged is read again by ``recover``. Raises ``StoreUnavailable``.
    """

    def __init__(self, client: Client, key: str) -> None:
        """``key``: of the stream, ``Keys.inbox`` or ``Keys.later``."""
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = key

    def append(self, events: Sequence[ObjectEvent]) -> None:
        """Store events in order; on return they are in Redis."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for event in events:
                pipe.xadd(self._key, fields(event))
            pipe.execute()

    def length(self) -> int:
        """How many events nobody has dealt with."""
        with translated():
            return int(self._redis.xlen(self._key))

    def prepare(self) -> None:
        """Create the stream and its consumer group, if they are not there."""
        with translated():
            try:
                self._redis.xgroup_create(self._key, GROUP, id="0", mkstream=True)
            except ResponseError as exc:
                if "BUSYGROUP" not in str(exc):
                    raise

    def read(self, consumer: str, count: int, block_ms: int | None) -> list[tuple[str, ObjectEvent]]:
        """New events; waits up to ``block_ms`` for the first, or not at all."""
        with translated():
            answer = self._redis.xreadgroup(GROUP, consumer, {self._key: ">"}, count=count, block=block_ms)
        if not answer:
            return []
        return self._decoded(answer[self._key.encode()][0] if isinstance(answer, dict) else answer[0][1])

    def recover(self, consumer: str, idle_ms: int, count: int) -> list[tuple[str, ObjectEvent]]:
        """Events that some dispatcher read at least ``idle_ms`` ago and did not finish."""
        with translated():
            answer = self._redis.xautoclaim(self._key, GROUP, consumer, idle_ms, "0-0", count=count)
        return self._decoded(answer[1])

    def done(self, ids: Sequence[str]) -> None:
        """These events are dealt with."""
        if not ids:
            return
        with translated():
            pipe = self._redis.pipeline(transaction=True)
            pipe.xack(self._key, GROUP, *ids)
            pipe.xdel(self._key, *ids)
            pipe.execute()

    def _decoded(self, entries: list[Any]) -> list[tuple[str, ObjectEvent]]:
        events, junk = [], []
        for entry, fields in entries:
            try:
                events.append((text(entry), msgspec.msgpack.decode(fields[b"event"], type=ObjectEvent)))
            except (msgspec.DecodeError, KeyError, TypeError):
                junk.append(text(entry))
        self.done(junk)  # not an event of this version: the sweep finds what it told
        return events
