"""Watches the partitions in the dispatcher, a thread each: relays their feeds, and reports new events.

One blocking read waits for both. A partition that is away holds back only its own thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vectordb.errors import Transient
from workers.dispatch.feed_relay import PAGE, FeedRelay
from workers.lifecycle.partitioned_inbox import InboxSignal, PartitionedInbox
from workers.outages.tracker import OutageTracker
from workers.processes.loops import Step
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys
from workers.redis.partition_faults import of_partition
from workers.wiring.wiring import Wiring

BLOCK_MS = 1000
LOOK_EVERY_S = 10.0  # between two looks whether the feed of the partition went back
GATHER_S = 0.005  # on a busy partition, the next read is for several events


class PartitionWatch:
    """Watches one partition in calls of ``step``. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, partition: int, relay: FeedRelay, signal: InboxSignal) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._inbox = keys.inbox
        self._partition = partition
        self._relay = relay
        self._signal = signal
        self._seen: str | None = None
        self._look_due = 0.0

    def step(self, block_ms: int = BLOCK_MS) -> int:
        """Wait for entries, relay those of the feed, and report those of the inbox. Returns their number."""
        try:
            return self._step(block_ms)
        except Transient:
            self._seen, self._look_due = None, 0.0  # entries may have been lost
            raise

    def _step(self, block_ms: int) -> int:
        if time.monotonic() >= self._look_due:
            self._relay.position()
            self._look_due = time.monotonic() + LOOK_EVERY_S
        with of_partition(self._partition), translated():
            if self._seen is None:
                self._seen = self._end()
                self._signal.note(self._partition)
            streams = {self._inbox: self._seen, self._relay.source: self._relay.after}
            answer = self._redis.xread(streams, count=PAGE, block=block_ms)
            found = {key: one[0] for key, one in answer.items()} if isinstance(answer, dict) else dict(answer or [])
            events, finished = found.get(raw(self._inbox), []), found.get(raw(self._relay.source), [])
            if events:
                self._seen = text(events[-1][0]) if len(events) < PAGE else self._end()
                self._signal.note(self._partition)
        self._relay.append(finished)
        if events:
            time.sleep(GATHER_S)
        return len(events) + len(finished)

    def _end(self) -> str:
        newest = self._redis.xrevrange(self._inbox, count=1)
        return text(newest[0][0]) if newest else "0-0"


@contextmanager
def watching(wiring: Wiring, stop: threading.Event) -> Iterator[None]:
    """Watch all partitions during the block, if there are several.

    A fault that no outage explains sets ``stop``, and is raised after the block: without its watch, a partition's
    feed would reach nobody, and nothing would tell of it.
    """
    signal, faults = InboxSignal(), list[Exception]()
    threads = [
        threading.Thread(
            target=_watch, args=(watch, wiring.outage_tracker, stop, faults), name="partition", daemon=True
        )
        for watch in _watches(wiring, signal)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(2 * BLOCK_MS / 1000)
    if faults:
        raise faults[0]


def _watches(wiring: Wiring, signal: InboxSignal) -> list[PartitionWatch]:
    partitions, base = wiring.partitions, wiring.redis
    if not isinstance(wiring.inbox, PartitionedInbox):
        return []
    wiring.inbox.signal = signal
    length = wiring.settings.feed_length
    return [
        PartitionWatch(client, keys, n, FeedRelay(base, partitions.base, client, keys, n, length), signal)
        for n, (client, keys) in enumerate(zip(wiring.partition_clients, partitions.all, strict=True))
    ]


def _watch(
    watch: PartitionWatch, outage_tracker: OutageTracker, stop: threading.Event, faults: list[Exception]
) -> None:
    step = Step(watch.step, outage_tracker)
    try:
        while not stop.is_set():
            if not step():
                step.rest(stop)
    except Exception as exc:  # raised in the main thread
        faults.append(exc)
        stop.set()
