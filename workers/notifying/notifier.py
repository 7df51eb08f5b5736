"""The notifier of one receiver: reads the feed and delivers what the receiver wants, at least once.

A feed entry is acknowledged in the script that queues its delivery. A delivery stays queued until the receiver
has answered 2xx, or it becomes a dead letter. While an attempt is running, the next one is already scheduled for
after its time limit, so a notifier that is killed delays and loses nothing.

Receivers share nothing but the feed: each has its own position in it, queue, attempts, pauses and dead letters.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, wait

import msgspec
import structlog

from workers.notifying.delivery import Delivery
from workers.notifying.outbox import Load, Outbox
from workers.notifying.plan import Answer, Plan
from workers.notifying.source import FeedSource
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.settings.webhook_kinds import RESULTS

log = structlog.get_logger()

WAITING_MOST = 50_000  # deliveries to a receiver; above this number no further entries are read from the feed
WAITING_BYTES = 64 * 2**20  # as before, of what Redis keeps of them
GLANCE = 0.05  # seconds to wait for an attempt before the feed is read again
BATCHES_EVERY_S = 0.5  # between two looks at the finished batches

Post = Callable[[Delivery], "Future[Answer]"]


class Notifier:
    """Runs one round per ``step``. Raises ``StoreUnavailable``, and then loses nothing.

    ``at_once``: number of concurrent attempts, so that a slow response does not delay others. ``lease_s``: longer
    than the time limit of an attempt. ``kinds``: of the events that are delivered.
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
        kinds: Collection[str] = RESULTS,
        waiting_most: int = WAITING_MOST,
        waiting_bytes: int = WAITING_BYTES,
    ) -> None:
        self._feed = FeedSource(client, keys.feed, outbox, kinds, consumer, clock)
        self._batches = FeedSource(client, keys.batches_finished, outbox, kinds, consumer, clock)
        self._batches_due = 0.0
        self._outbox = outbox
        self._post = post
        self._plan = plan
        self._at_once = at_once
        self._lease = lease_s
        self._clock = clock
        self._waiting_most = waiting_most
        self._waiting_bytes = waiting_bytes
        self._full = False
        self._chance = random.Random()  # noqa: S311 -- jitter
        self._resume = 0.0  # time until which the receiver has asked to pause
        self._sent: dict[str, tuple[Delivery, Future[Answer]]] = {}

    @property
    def receiver(self) -> str:
        """Its name."""
        return self._outbox.receiver

    def prepare(self, *, from_beginning: bool = False, age_ms: int = 0) -> None:
        """Begin with now, or go on where this receiver was if it is not a new one.

        ``from_beginning``: begin with the oldest entry of the feed instead, if it is new. ``age_ms``: how long ago
        now was, when this process has taken so long to start.
        """
        begin = None if from_beginning else age_ms
        sources = (self._batches, self._feed)  # if it is interrupted, the feed still shows that the receiver is new
        earlier = [source.prepare(begin) for source in sources][-1]
        if earlier is not None:
            begins = "with the feed" if from_beginning else "now"
            log.info("new receiver", receiver=self.receiver, begins=begins, older_entries_not_sent=earlier)
        elif from_beginning:
            log.info("not from the beginning: the receiver goes on where it was", receiver=self.receiver)

    def step(self, block_ms: int = 500) -> int:
        """Read new entries, start due attempts and store the results; returns the number of finished attempts.

        Waits up to ``block_ms`` for the feed if there is no attempt in progress.
        """
        load = self._outbox.load()
        if self._crowded(load):
            time.sleep(GLANCE if self._sent else block_ms / 1000)
        else:
            self._take_in(None if self._sent else block_ms)
        if not load.paused and self._clock() >= load.held_until:
            self._begin()
        return self.settle(GLANCE)

    def recover(self, idle_ms: int) -> None:
        """Claim entries that any notifier read at least ``idle_ms`` ago and did not queue: it was killed."""
        for source in (self._feed, self._batches):
            source.recover(idle_ms)

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
        if time.monotonic() >= self._batches_due:
            self._batches.take_in(None)
            self._batches_due = time.monotonic() + BATCHES_EVERY_S
        self._feed.take_in(block_ms)

    def _crowded(self, load: Load) -> bool:
        full = load.waiting >= self._waiting_most or load.size >= self._waiting_bytes
        if full and not self._full:
            log.warning(
                "too many queued deliveries, reading of the feed paused", receiver=self.receiver,
                waiting=load.waiting, bytes=load.size,
            )  # fmt: skip
        self._full = full
        return full

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
        self._outbox.settle(delivery, verdict, answer, now, self._resume if answer.hold else 0.0)
        if verdict.outcome != "delivered":
            log.warning(
                "delivery failed", receiver=self.receiver, outcome=verdict.outcome, delivery=delivery.id,
                attempts=delivery.attempts, object=delivery.subject, reason=delivery.reason,
            )  # fmt: skip
