"""The queue of objects to be segmented, separate from the inbox: one takes as long as tagging hundreds.

The ledger adds each object once, however many events it has. Only a few objects are in segmentation at a time; the
others wait here without a deadline. Their metadata is read from the store when they leave the queue, which keeps the
ids of their request and trace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from msgspec import structs

from tasks.message_parts import place_of
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.ledger import Arrival, Ledger, Waiting
from workers.lifecycle.queued_origin import stored_origin
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys

REST_S = 1.0  # pause after the object store did not answer


class SegmentQueue:
    """Raises ``StoreUnavailable``. ``at_once``: maximum number of objects in segmentation."""

    def __init__(self, client: Client, keys: Keys, ledger: Ledger, at_once: int, clock: Callable[[], float]) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._ledger = ledger
        self._at_once = at_once
        self._clock = clock
        self._resting_until = 0.0

    def poll(self, waiting: Waiting | None = None) -> list[ObjectEvent] | None:
        """The objects to segment next, oldest first; ``None`` if there are none. They stay queued until entered.

        ``waiting``: as it was read a moment ago.
        """
        waiting = waiting or self._ledger.waiting()
        if not waiting.segments:
            return None
        free = self._at_once - waiting.segmenting
        now = self._clock()
        if free <= 0 or now < self._resting_until <= now + REST_S:  # later than that if the clock was set back
            return []
        return self.next(free)

    def next(self, count: int) -> list[ObjectEvent]:
        """The first ``count`` objects, oldest first."""
        with translated():
            oids = self._redis.zrange(self._keys.segmentation_queue, 0, count - 1)
            forced = self._redis.smismember(self._keys.segmentation_queue_forced, oids) if oids else []
        turns = []
        for oid, force in zip(oids, forced, strict=True):
            bucket, key = place_of(text(oid))
            turns.append(ObjectEvent("created", bucket, key, force=bool(force)))
        return turns

    def with_origins(self, arrivals: Sequence[Arrival]) -> list[Arrival]:
        """Objects of this queue with the request and the trace of the event that put this version on it."""
        if not arrivals:
            return []
        with translated():
            stored = self._redis.hmget(self._keys.segmentation_queue_origins, [raw(one.ref.id) for one in arrivals])
        origins = [stored_origin(value, one.ref.etag) for one, value in zip(arrivals, stored, strict=True)]
        return [
            one if origin is None else replace(one, ref=structs.replace(one.ref, origin=origin))
            for one, origin in zip(arrivals, origins, strict=True)
        ]

    def put_off(self, oids: Sequence[str]) -> None:
        """Move these to the end of the queue, because the object store did not answer, and pause."""
        if oids:
            self._resting_until = self._clock() + REST_S
            with translated():
                self._redis.zadd(self._keys.segmentation_queue, {raw(oid): self._clock() for oid in oids}, xx=True)

    def drop(self, oids: Sequence[str]) -> None:
        """Remove objects that cannot be segmented: filtered out, or not readable."""
        if oids:
            with translated():
                self._redis.zrem(self._keys.segmentation_queue, *map(raw, oids))
                self._redis.srem(self._keys.segmentation_queue_forced, *map(raw, oids))
                self._redis.hdel(self._keys.segmentation_queue_origins, *map(raw, oids))
