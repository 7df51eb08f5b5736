"""The notifier: reads the feed and delivers every finished object to the receiver at least once.

A feed entry is acknowledged in the transaction that queues its delivery. A delivery stays queued until the receiver
has answered 2xx, or it becomes a dead letter. While an attempt is running, the next one is already scheduled for
after its time limit, so a notifier that is killed delays and loses nothing.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

import msgspec
import structlog

from workers.lifecycle.record import DamagedRecord
from workers.notifying.delivery import Delivery, delivery_of
from workers.notifying.outbox import Outbox
from workers.notifying.plan import Answer, Plan
from workers.redis.connection import Client, text
from workers.redis.keys import Keys
from workers.redis.streams import (
    Entries,
    Leftovers,
    claim_idle,
    create_group,
    drop_forgotten,
    read_again,
    read_group,
    skip_lost,
)

log = structlog.get_logger()

GROUP = "notifier"
READ = 100  # entries per read
WAITING_MOST = 50_000  # deliveries; above this number no further entries are read from the feed
GLANCE = 0.05  # seconds to wait for an attempt before the feed is read again

Post = Callable[[Delivery], "Future[Answer]"]


class Notifier:
    """Runs one round per ``step``. Raises ``StoreUnavailable``, and then loses nothing.

    ``at_once``: number of concurrent attempts, so that a slow response does not delay others. ``lease_s``: longer
    than the time limit of an attempt.
    """

    def __init__(
        self,
        client: Client,
        keys: Keys,
        outbox: Outbox,
        post: Post,
        plan: Plan,
        *,
        at_once: int,
        lease_s: float,
        consumer: str,
        clock: Callable[[], float],
        waiting_most: int = WAITING_MOST,
    ) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._feed = keys.feed
        self._outbox = outbox
        self._post = post
        self._plan = plan
        self._at_once = at_once
        self._lease = lease_s
        self._consumer = consumer
        self._clock = clock
        self._waiting_most = waiting_most
        self._full = False
        self._chance = random.Random()  # noqa: S311 -- jitter
        self._resume = 0.0  # time until which the receiver has asked to pause
        self._leftovers = Leftovers()
        self._sent: dict[str, tuple[Delivery, Future[Answer]]] = {}

    def prepare(self) -> None:
        """Create the consumer group, starting with the oldest entry of the feed."""
        create_group(self._redis, self._feed, GROUP)

    def step(self, block_ms: int = 500) -> int:
        """Read new entries, start due attempts and store the results; returns the number of finished attempts.

        Waits up to ``block_ms`` for the feed if there is no attempt in progress.
        """
        if self._crowded():
            time.sleep(GLANCE)
        else:
            self._take_in(None if self._sent else block_ms)
        self._begin()
        return self.settle(GLANCE)

    def recover(self, idle_ms: int) -> None:
        """Claim entries that any notifier read at least ``idle_ms`` ago and did not queue: it was killed."""
        with self._leftovers.interrupted_by_faults():
            if lost := drop_forgotten(self._redis, self._feed, GROUP):
                self._tell_lost(lost)
            self._accept(claim_idle(self._redis, self._feed, GROUP, self._consumer, idle_ms, READ))

    def settle(self, patience: float) -> int:
        """Store the results of finished attempts; waits up to ``patience`` seconds for the first."""
        if not self._sent:
            return 0
        done, _ = wait([future for _, future in self._sent.values()], patience, FIRST_COMPLETED)
        for delivery, future in list(self._sent.values()):
            if future in done:
                self._settle(delivery, future.result())
                del self._sent[delivery.id]  # only now: if Redis is unavailable, the result must not be lost
        return len(done)

    def abandon(self, patience: float) -> None:
        """Before shutdown: store results that arrive within ``patience`` seconds. The others are sent again later."""
        until = self._clock() + patience
        while self._sent and (left := until - self._clock()) > 0:
            self.settle(left)
        for _, future in self._sent.values():
            future.cancel()

    def _take_in(self, block_ms: int | None) -> None:
        with self._leftovers.interrupted_by_faults():
            if self._leftovers.due():
                entries = read_again(self._redis, self._feed, GROUP, self._consumer, READ)
                self._accept(entries)
                self._leftovers.looked(None, left=bool(entries))  # once more, to check that none is left
            self._read(block_ms)

    def _read(self, block_ms: int | None) -> None:
        if lost := skip_lost(self._redis, self._feed, GROUP):
            self._tell_lost(lost)
        self._accept(read_group(self._redis, self._feed, GROUP, self._consumer, READ, block_ms))

    def _crowded(self) -> bool:
        full = self._outbox.waiting() >= self._waiting_most
        if full and not self._full:
            log.warning("too many queued deliveries, reading of the feed paused", waiting=self._waiting_most)
        self._full = full
        return full

    def _accept(self, entries: Entries) -> None:
        if not entries:
            return
        now, deliveries, lost = self._clock(), [], 0
        for entry, fields in entries:
            if not fields:
                lost += 1  # it was trimmed from the feed after it was read
            elif body := fields.get(b"body"):  # none: the object was removed
                try:
                    deliveries.append(delivery_of(text(entry), text(fields[b"oid"]), body, now))
                except DamagedRecord as exc:
                    log.warning("record unreadable, not delivered", reason=str(exc))
                    lost += 1
        self._outbox.accept(deliveries, GROUP, [entry for entry, _ in entries])
        if lost:
            self._tell_lost(lost)

    def _tell_lost(self, lost: int) -> None:
        log.error("feed entries lost, not delivered", entries=lost)
        self._outbox.accept([], GROUP, [], lost)

    def _begin(self) -> None:
        now, free = self._clock(), self._at_once - len(self._sent)
        if free <= 0 or now < self._resume:
            return
        for delivery in self._outbox.take(now, now + self._lease, free):
            if delivery.id not in self._sent:
                self._sent[delivery.id] = (delivery, self._post(delivery))

    def _settle(self, delivery: Delivery, answer: Answer) -> None:
        now = self._clock()
        self._resume = max(self._resume, now + answer.hold)
        if not answer.taken:
            delivery = msgspec.structs.replace(delivery, attempts=delivery.attempts + 1, reason=str(answer))
        verdict = self._plan.verdict(answer, delivery.attempts, now, self._chance.random())
        self._outbox.settle(delivery, verdict)
        if verdict.outcome != "delivered":
            log.warning(
                "delivery failed", outcome=verdict.outcome, delivery=delivery.id, attempts=delivery.attempts,
                object=f"{delivery.bucket}/{delivery.key}", reason=delivery.reason,
            )  # fmt: skip
