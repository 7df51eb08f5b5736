"""How many objects of low priority may be in flight, so that new objects do not wait long behind them."""

from __future__ import annotations

import time
from collections.abc import Callable

KNOWN_AT_ONCE = 4  # multiple of the batch size, for images whose vectors need not be made
AHEAD_S = 0.5  # a new object waits about so long behind the others
SAMPLE_S = 0.1  # between two looks at the rate
STALE_S = 2.0  # an older rate says nothing of the present
SHARE = 4  # batches that a window holds: while one is filled, the stages work on the others


class Window:
    """Allows as many objects in flight as are finished in ``AHEAD_S``, and two batches in any case.

    Encoders finish some ten images a second, and retrieval alone some hundred: which of them a batch needs is only
    known later. So the size follows the rate. ``batch_max``, ``in_flight_max``: see ``Pace``. ``clock``: seconds.
    """

    def __init__(self, batch_max: int, in_flight_max: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._batch_max = batch_max
        self._least = 2 * batch_max
        self._most = max(self._least, in_flight_max)
        self._clock = clock
        self._size = self._least
        self._entered = 0
        self._finished = 0
        self._looked = -STALE_S
        self._rate: float | None = None  # objects a second, smoothed

    def add(self, count: int) -> None:
        """Count objects, of any priority, that were entered in the ledger."""
        self._entered += count

    def room(self, in_flight: int) -> int:
        """How many objects to read now: none, or a batch. ``in_flight``: objects in the ledger."""
        self._look(self._entered - in_flight)
        if in_flight >= self._size:
            return 0
        return max(self._batch_max, min(self._size // SHARE, self._batch_max * KNOWN_AT_ONCE))

    def _look(self, finished: int) -> None:
        now = self._clock()
        passed = now - self._looked
        if passed < SAMPLE_S:
            return
        rate = None
        if passed <= STALE_S:
            rate = (finished - self._finished) / passed
            if self._rate is not None:  # objects are finished by batches
                rate = (rate + self._rate) / 2
        self._size = max(self._least, min(self._most, int((rate or 0.0) * AHEAD_S)))
        self._looked, self._finished, self._rate = now, finished, rate
