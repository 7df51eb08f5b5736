"""One stream that a receiver reads with a group of its own: the feed, or the finished batches.

An entry is acknowledged in the script that queues its delivery.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import structlog

from workers.lifecycle.record import DamagedRecord
from workers.notifying.delivery import delivery_from, kind_of
from workers.notifying.outbox import Outbox
from workers.redis import scripts
from workers.redis.connection import Client, text, translated
from workers.redis.streams import (
    Entries,
    Leftovers,
    claim_idle,
    drop_forgotten,
    read_again,
    read_group,
    skip_lost,
)
from workers.settings.webhook_kinds import DEFAULT_RECEIVER

log = structlog.get_logger()

READ = 100  # entries per read


def group_of(receiver: str) -> str:
    """The name of a receiver's group. That of the variables has the name of before there were several receivers."""
    return "notifier" if receiver == DEFAULT_RECEIVER else f"notifier:{receiver}"


class FeedSource:
    """Reads a stream for one receiver. Raises ``StoreUnavailable``, and then loses nothing."""

    def __init__(
        self,
        client: Client,
        stream: str,
        outbox: Outbox,
        kinds: Collection[str],
        consumer: str,
        clock: Callable[[], float],
    ) -> None:
        """``kinds``: of the events that the receiver wants; entries of others are acknowledged."""
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._stream = stream
        self._group = group_of(outbox.receiver)
        self._outbox = outbox
        self._kinds = kinds
        self._consumer = consumer
        self._clock = clock
        self._leftovers = Leftovers()
        self._begin_group = self._redis.register_script(scripts.source("begin_group"))

    def prepare(self, begin: int | None) -> int | None:
        """Create the group, unless it exists. Returns how many older entries it does not read; ``None``: it exists.

        ``begin``: how many milliseconds ago the first entry that it reads may have been added; ``None``: reads all.
        """
        with translated():
            found = self._begin_group(keys=[self._stream], args=[self._group, "first" if begin is None else begin])
        if not found:
            return None
        earlier, gone = map(int, found)
        if gone > 0:
            log.warning(
                "the feed has not all that there was", receiver=self._outbox.receiver, stream=self._stream,
                no_longer_stored=gone,
            )  # fmt: skip
        return earlier

    def take_in(self, block_ms: int | None) -> None:
        """Queue new entries. Waits up to ``block_ms`` for the first; ``None``: does not wait."""
        with self._leftovers.interrupted_by_faults():
            if self._leftovers.due():
                entries = read_again(self._redis, self._stream, self._group, self._consumer, READ)
                self._accept(entries)
                self._leftovers.looked(None, left=bool(entries))  # once more, to check that none is left
            if lost := skip_lost(self._redis, self._stream, self._group):
                self._tell_lost(lost)
            self._accept(read_group(self._redis, self._stream, self._group, self._consumer, READ, block_ms))

    def recover(self, idle_ms: int) -> None:
        """Claim entries that any notifier read at least ``idle_ms`` ago and did not queue: it was killed."""
        with self._leftovers.interrupted_by_faults():
            if lost := drop_forgotten(self._redis, self._stream, self._group):
                self._tell_lost(lost)
            self._accept(claim_idle(self._redis, self._stream, self._group, self._consumer, idle_ms, READ))

    def _accept(self, entries: Entries) -> None:
        if not entries:
            return
        now, deliveries, lost = self._clock(), [], 0
        for entry, fields in entries:
            if not fields:
                lost += 1  # it was trimmed from the stream after it was read
            elif kind_of(fields) in self._kinds:
                try:
                    deliveries.append(delivery_from(text(entry), fields, now))
                except DamagedRecord as exc:
                    log.warning("record unreadable, not delivered", receiver=self._outbox.receiver, reason=str(exc))
                    lost += 1
        if lost:
            self._log_lost(lost)
        self._outbox.accept(deliveries, self._stream, self._group, [entry for entry, _ in entries], lost)

    def _tell_lost(self, lost: int) -> None:
        self._log_lost(lost)
        self._outbox.accept([], self._stream, self._group, [], lost)

    def _log_lost(self, lost: int) -> None:
        log.error("feed entries lost, not delivered", receiver=self._outbox.receiver, entries=lost)
