"""How many messages are on the queues, for ``wildtag status`` and the metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Protocol

import msgspec

from vectordb.errors import Transient
from workers.outages.tracker import OutageTracker
from workers.settings.dependencies import BROKER, REDIS

FRESH_S = 1.0  # for which depths are kept


class QueueDepth(msgspec.Struct, frozen=True):
    """``ready``: messages that no worker has received. ``consumers``: workers on the queue; only RabbitMQ knows."""

    ready: int
    consumers: int | None


class Depths(msgspec.Struct, frozen=True):
    """``queues``: by name. ``unacknowledged``: messages that workers hold, of all queues; only Redis knows."""

    queues: Mapping[str, QueueDepth]
    unacknowledged: int | None


class HasDepths(Protocol):
    """The part of a publisher that a reader uses."""

    def depths(self) -> Depths:
        """How many messages are on the queues. Raises ``Transient``."""
        ...


class DepthReader:
    """Reads the depths at most once a second, whoever asks. Thread-safe."""

    def __init__(self, publisher: HasDepths, outage_tracker: OutageTracker) -> None:
        self._publisher = publisher
        self._outage_tracker = outage_tracker
        self._lock = threading.Lock()
        self._read: Depths | None = None
        self._read_at = -FRESH_S

    def read(self) -> Depths | None:
        """The depths; ``None`` if the broker is away, which starts an outage.

        Does not ask a broker that is known to be away, nor while Redis is, which often is the broker.
        """
        if self._outage_tracker.is_active(BROKER, probed=True) or self._outage_tracker.is_active(REDIS):
            return None
        with self._lock:
            if time.monotonic() - self._read_at >= FRESH_S:
                try:
                    self._read = self._publisher.depths()
                except Transient as exc:
                    self._read = None
                    self._outage_tracker.register(exc)
                self._read_at = time.monotonic()
            return self._read
