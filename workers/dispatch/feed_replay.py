"""Adds the records that a change of the encoder has replaced to the feed, at a bounded rate.

A switch of the encoder replaces all records at once, and adds nothing to the feed: so many entries would push out
everything else. Side files, webhook receivers and other readers of the feed learn of the new tags from these entries.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from workers.lifecycle.record_reader import Records
from workers.redis import scripts
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys

log = structlog.get_logger()

STEP_S = 0.5  # as many records at once as this time is for
MOST = 200  # records at once


@dataclass(frozen=True)
class Replay:
    """``since``: the switch, Unix seconds. ``rate``: records each second. ``added``: entries of the feed so far."""

    since: float
    rate: float
    added: int


class FeedReplay:
    """Adds the entries in calls of ``step``. It goes on after a restart. Raises ``StoreUnavailable``."""

    def __init__(
        self, client: Client, keys: Keys, records: Records, feed_length: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """``clock``: seconds."""
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._records = records
        self._feed_length = feed_length
        self._clock = clock
        self._due = float("-inf")
        self._script = client.register_script(scripts.source("records", "replay_feed"))

    def read(self) -> Replay | None:
        """What is still being added, if anything."""
        found = self._read()
        if not found:
            return None
        return Replay(float(found["until"]), float(found["rate"]), int(found.get("added", 0)))

    def end(self) -> bool:
        """Add no more. Returns whether there was more to add."""
        with translated():
            return bool(self._redis.delete(self._keys.feed_replay))

    def step(self) -> int:
        """Add some entries, unless none is due. Returns their number."""
        now = self._clock()
        if now < self._due:
            return 0
        found = self._read()
        if not found:
            self._due = now + STEP_S
            return 0
        rate = float(found["rate"])
        size = max(1, min(MOST, int(rate * STEP_S)))
        after = found["after"]
        page = self._records.page_between(b"(" + raw(after) if after else b"-", b"+", size)
        oids = list(map(text, page))
        last = oids[-1] if len(oids) == size else ""
        k = self._keys
        args: list[Any] = [raw(after), found["until"], raw(last), self._feed_length, found["space"], *page]
        with translated():
            added = int(self._script(keys=[k.feed_replay, k.feed, *map(k.record, oids)], args=args))
        self._due = now + size / rate
        if not last and added >= 0:
            log.info("the feed has all records of the new encoder", records=int(found.get("added", 0)) + added)
        return max(0, added)

    def _read(self) -> dict[str, str]:
        with translated():
            found = self._redis.hgetall(self._keys.feed_replay)
        return {text(name): text(value) for name, value in found.items()}
