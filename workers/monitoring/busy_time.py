"""How long a process is busy: the time during which at least one thread works."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from workers.monitoring.meter import METER, Meter
from workers.monitoring.metric import Metric


class BusyTime:
    """Adds the seconds to a counter. Messages that overlap count once, so it grows by at most one a second."""

    def __init__(
        self, metric: Metric, *labels: str, meter: Meter = METER, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._metric = metric
        self._labels = labels
        self._meter = meter
        self._clock = clock
        self._lock = threading.Lock()
        self._working = 0
        self._since = 0.0

    @contextmanager
    def working(self) -> Iterator[None]:
        """The block is work."""
        self._note(1)
        try:
            yield
        finally:
            self._note(-1)

    def _note(self, change: int) -> None:
        with self._lock:
            now = self._clock()
            if self._working:  # at each change: there may always be another message in progress
                self._meter.count(self._metric, max(0.0, now - self._since), *self._labels)
            self._since = now
            self._working += change
