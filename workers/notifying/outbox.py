"""Deliveries in Redis: queued ones with the time of their next attempt, and results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from vectordb.decoders import from_msgpack
from workers.notifying.delivery import Delivery
from workers.notifying.plan import Verdict
from workers.redis import scripts
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys

DEAD_KEPT = 10_000  # dead letters; the oldest are deleted first


class Outbox:
    """Queues, claims and settles deliveries. Operations are atomic and repeatable. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, dead_kept: int = DEAD_KEPT) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._dead_kept = dead_kept
        self._take = self._redis.register_script(scripts.source("take_deliveries"))
        self._settle = self._redis.register_script(scripts.source("settle_delivery"))

    def accept(self, deliveries: Sequence[Delivery], group: str, entries: Sequence[Any], lost: int = 0) -> None:
        """Queue deliveries, due at once, and acknowledge the feed's entries. ``lost``: number to count as lost."""
        with translated():
            pipe = self._redis.pipeline(transaction=True)
            for one in deliveries:
                pipe.hsetnx(self._keys.notify("waiting"), one.id, msgspec.msgpack.encode(one))
                pipe.zadd(self._keys.notify("due"), {one.id: one.since}, nx=True)
            if entries:
                pipe.xack(self._keys.feed, group, *entries)
            if lost:
                pipe.hincrby(self._keys.notify("counts"), "lost", lost)
            pipe.execute()

    def take(self, now: float, again: float, limit: int) -> list[Delivery]:
        """Claim due deliveries; if they are not settled, they are due again at ``again``."""
        with translated():
            taken = self._take(keys=self._named("waiting", "due"), args=[now, again, limit])
        return [from_msgpack(one, Delivery) for one in taken]

    def settle(self, delivery: Delivery, verdict: Verdict) -> None:
        """Store the result of an attempt."""
        packed = msgspec.msgpack.encode(delivery)
        with translated():
            self._settle(
                keys=self._named("waiting", "due", "dead", "counts"),
                args=[delivery.id, verdict.outcome, verdict.at, packed, self._dead_kept],
            )

    def waiting(self) -> int:
        """Number of deliveries that are neither delivered nor dead."""
        with translated():
            return int(self._redis.hlen(self._keys.notify("waiting")))

    def counts(self) -> Mapping[str, int]:
        """Number of queued ones, and totals: ``delivered``, ``retried`` (failed attempts), ``dead`` and ``lost``."""
        with translated():
            counts = {text(name): int(n) for name, n in self._redis.hgetall(self._keys.notify("counts")).items()}
        names = ("delivered", "retried", "dead", "lost")
        return {"waiting": self.waiting()} | {name: counts.get(name, 0) for name in names}

    def _named(self, *names: str) -> list[str]:
        return [self._keys.notify(name) for name in names]
