"""A value that takes long to read: read in a thread, so that nobody waits for it for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from vectordb.errors import WildtagError

T = TypeVar("T")


class BackgroundValue(Generic[T]):
    """``read``: may raise ``WildtagError``. Thread-safe."""

    def __init__(
        self, read: Callable[[], T], fresh_s: float, wait_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``fresh_s``: after which it is read again. ``wait_s``: how long a caller waits if there is no value."""
        self._read = read
        self._fresh_s, self._wait_s, self._clock = fresh_s, wait_s, clock
        self._changed = threading.Condition()
        self._value: T | None = None
        self._at = float("-inf")
        self._running = False

    def get(self) -> T | None:
        """The last value; ``None`` if the last attempt failed, or there was none in time."""
        with self._changed:
            if self._clock() - self._at >= self._fresh_s and not self._running:
                self._running = True
                threading.Thread(target=self._again, name="background-value", daemon=True).start()
            if self._value is None:
                self._changed.wait_for(lambda: not self._running, self._wait_s)
            return self._value

    def _again(self) -> None:
        value: T | None = None
        try:
            value = self._read()
        except WildtagError:
            pass
        finally:
            with self._changed:
                self._value, self._at, self._running = value, self._clock(), False
                self._changed.notify_all()
