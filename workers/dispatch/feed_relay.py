"""Relays the feed of a partition into the one feed for clients.

A script of a partition cannot write to the feed, which is in another slot. So each partition has a feed of its own,
in which the entries of an object are in order. A relay appends them to ``P feed`` and stores its position there, in
one script. Several relays of a partition may run: a script appends nothing if the position is not the expected one.

An entry is repeated only if the feed of a partition goes back: its server lost entries, and the clock of the one that
has replaced it is behind by more than that took. One that was lost before it was relayed is made again with its
record.
"""

from __future__ import annotations

import time
from itertools import chain
from typing import Any

import structlog
from redis.exceptions import ResponseError

from workers.redis import scripts
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.redis.partition_faults import of_partition
from workers.redis.streams import Entries, entry_order

log = structlog.get_logger()

PAGE = 100  # entries at a time
KEPT_MS = 60_000  # of the partition's feed, before its last entry that was relayed: a failover may take some from P
TRIM_EVERY_S = 5.0
BEGIN = "0-0"


class FeedRelay:
    """The relay of one partition. Raises ``StoreUnavailable``, with the name of the partition for its own faults.

    ``client``, ``keys``: of what is under ``P``. ``own``, ``own_keys``: of the partition.
    """

    def __init__(
        self, client: Client, keys: Keys, own: Client, own_keys: Keys, partition: int, feed_length: int
    ) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._own: Any = own  # as above
        self.source = own_keys.feed
        self._partition = partition
        self._feed_length = feed_length
        self._relay = self._redis.register_script(scripts.source("relay"))
        self._stored: str | None = None
        self._trim_due = 0.0

    def position(self) -> str:
        """The id of the last entry that was relayed: read the partition's feed from here.

        If the feed of the partition ends before it, it begins anew.
        """
        with translated():
            stored = self._redis.hget(self._keys.feed_positions, self._partition)
        self._stored = text(stored or b"")
        if self._stored and entry_order(self._end()) < entry_order(self._stored):
            log.warning("the feed of a partition went back", partition=self._partition, then="it is relayed again")
            self._append([], BEGIN)
        return self._stored or BEGIN

    def step(self) -> int:
        """Relay one page, without waiting. Returns the number of its entries."""
        after = self.position() if self._stored is None else self._stored or BEGIN
        with of_partition(self._partition), translated():
            found = self._own.xrange(self.source, f"({after}", count=PAGE)
        return self.append(found)

    def append(self, found: Entries) -> int:
        """Append entries that were read after ``position``, unless another relay did, and trim the partition's feed.

        Returns their number.
        """
        if not found:
            return 0
        self._append([fields for _, fields in found], text(found[-1][0]))
        if time.monotonic() >= self._trim_due:
            self._trim_due = time.monotonic() + TRIM_EVERY_S
            milliseconds, _ = entry_order(self.after)
            with of_partition(self._partition), translated():
                self._own.xtrim(self.source, minid=max(0, milliseconds - KEPT_MS), approximate=True)
        return len(found)

    @property
    def after(self) -> str:
        """Where the next page begins, as far as this relay knows."""
        return self._stored or BEGIN

    def _append(self, fields: list[Any], last: str) -> None:
        """Append entries and move the position to ``last``, if it is where this relay has found it."""
        values = chain.from_iterable(
            (one[b"oid"], one[b"state"], one[b"body"], one.get(b"removed", b"")) for one in fields
        )
        try:
            with translated():
                self._stored = text(
                    self._relay(
                        keys=[self._keys.feed, self._keys.feed_positions],
                        args=[self._partition, self._stored or "", last, self._feed_length, *values],
                    )
                )
        except BaseException:
            self._stored = None  # look before the next one
            raise

    def _end(self) -> str:
        """The id of the newest entry that the partition's feed has had."""
        with of_partition(self._partition):
            try:
                with translated():
                    return text(self._own.xinfo_stream(self.source)["last-generated-id"])
            except ResponseError as exc:
                if "no such key" not in str(exc):
                    raise
                return BEGIN
