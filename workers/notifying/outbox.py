"""Deliveries to one receiver in Redis: queued ones with the time of their next attempt, and results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from vectordb.decoders import from_msgpack
from workers.notifying.delivery import Delivery
from workers.notifying.plan import Answer, Verdict
from workers.redis import scripts
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.settings.webhook_kinds import DEFAULT_RECEIVER

DEAD_KEPT = 10_000  # dead letters of a receiver; the oldest are deleted first
OUTCOMES = ("delivered", "retried", "dead", "lost")


@dataclass(frozen=True)
class Load:
    """What waits for a receiver: number and bytes. ``paused``: by an operator.

    ``held_until``: the receiver asked for this pause (Unix seconds), maybe of another notifier.
    """

    waiting: int
    size: int
    paused: bool
    held_until: float


class Outbox:
    """Queues, claims and settles deliveries of one receiver. Operations are atomic and repeatable.

    Raises ``StoreUnavailable``.
    """

    def __init__(
        self, client: Client, keys: Keys, receiver: str = DEFAULT_RECEIVER, dead_kept: int = DEAD_KEPT
    ) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self.receiver = receiver
        self._dead_kept = dead_kept
        self._accept = self._redis.register_script(scripts.source("accept_deliveries"))
        self._take = self._redis.register_script(scripts.source("take_deliveries"))
        self._settle = self._redis.register_script(scripts.source("settle_delivery"))

    def accept(
        self, deliveries: Sequence[Delivery], stream: str, group: str, entries: Sequence[Any], lost: int = 0
    ) -> None:
        """Queue deliveries, due at once, and acknowledge the entries of a stream. ``lost``: to be counted as lost."""
        since = deliveries[0].since if deliveries else 0
        args: list[Any] = [group, lost, since, len(entries), *entries]
        for one in deliveries:
            args += [one.id, msgspec.msgpack.encode(one)]
        with translated():
            self._accept(keys=[*self._named("waiting", "due", "counts"), stream], args=args)

    def take(self, now: float, again: float, limit: int) -> list[Delivery]:
        """Claim due deliveries; if they are not settled, they are due again at ``again``."""
        with translated():
            taken = self._take(keys=self._named("waiting", "due"), args=[now, again, limit])
        return [from_msgpack(one, Delivery) for one in taken]

    def settle(
        self, delivery: Delivery, verdict: Verdict, answer: Answer, now: float, held_until: float = 0.0
    ) -> None:
        """Store the result of an attempt, and the answer. ``held_until``: nothing is sent before this time."""
        packed = msgspec.msgpack.encode(delivery)
        with translated():
            self._settle(
                keys=self._named("waiting", "due", "dead", "counts"),
                args=[
                    delivery.id, verdict.outcome, verdict.at, packed, self._dead_kept, now, str(answer),
                    held_until or "0",
                ],
            )  # fmt: skip

    def load(self) -> Load:
        """What waits."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            pipe.hlen(self._keys.notify("waiting", self.receiver))
            pipe.hmget(self._keys.notify("counts", self.receiver), "bytes", "held_until")
            pipe.hexists(self._keys.paused_receivers, self.receiver)
            waiting, (size, held), paused = pipe.execute()
        return Load(int(waiting), int(size or 0), bool(paused), float(held or 0))

    def waiting(self) -> int:
        """Number of deliveries that are neither delivered nor dead."""
        return self.load().waiting

    def counts(self) -> Mapping[str, int]:
        """Number of queued ones, and totals: ``delivered``, ``retried`` (failed attempts), ``dead`` and ``lost``."""
        with translated():
            found = self._redis.hmget(self._keys.notify("counts", self.receiver), *OUTCOMES)
        counts = {name: int(count or 0) for name, count in zip(OUTCOMES, found, strict=True)}
        return {"waiting": self.waiting()} | counts

    def _named(self, *names: str) -> list[str]:
        return [self._keys.notify(name, self.receiver) for name in names]


def counted(counts: Mapping[bytes, bytes]) -> dict[str, str]:
    """The fields of ``P notify:counts`` as texts."""
    return {text(name): text(value) for name, value in counts.items()}
