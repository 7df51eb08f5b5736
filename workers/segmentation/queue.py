"""Objects that are to be segmented wait for their turn beside the inbox: each takes as long as hundreds that are not.

The ledger puts them here, once each however often they are told of. When a few of them are on their way the others
wait, and no deadline passes. What an object is by then, the store is asked at its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.ledger import Ledger
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys

REST_S = 1.0  # after a turn that the store gave no answer for


class SegmentQueue:
    """Raises ``StoreUnavailable``. ``at_once``: objects that may be on their way."""

    def __init__(self, client: Client, keys: Keys, ledger: Ledger, at_once: int, clock: Callable[[], float]) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._ledger = ledger
        self._at_once = at_once
        self._clock = clock
        self._resting_until = 0.0

    def turn(self) -> list[ObjectEvent] | None:
        """Those whose turn it is, the longest waiting first; ``None`` where none waits. They stay until entered."""
        with translated():
            if not self._redis.zcard(self._keys.segmentation_queue):
                return None
        room = self._at_once - self._ledger.segmenting()
        if room <= 0 or self._clock() < self._resting_until:
            return []
        with translated():
            oids = self._redis.zrange(self._keys.segmentation_queue, 0, room - 1)
            forced = self._redis.smismember(self._keys.segmentation_queue_forced, oids) if oids else []
        turns = []
        for oid, force in zip(oids, forced, strict=True):
            bucket, _, key = text(oid).partition("/")
            turns.append(ObjectEvent("created", bucket, key, force=bool(force)))
        return turns

    def put_off(self, oids: Sequence[str]) -> None:
        """The store says nothing of these: others have their turn, a little later."""
        if oids:
            self._resting_until = self._clock() + REST_S
            with translated():
                self._redis.zadd(self._keys.segmentation_queue, {raw(oid): self._clock() for oid in oids}, xx=True)

    def drop(self, oids: Sequence[str]) -> None:
        """These are nothing to be segmented: not followed, or not to be read."""
        if oids:
            with translated():
                self._redis.zrem(self._keys.segmentation_queue, *map(raw, oids))
                self._redis.srem(self._keys.segmentation_queue_forced, *map(raw, oids))
