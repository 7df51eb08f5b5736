"""Whether the inbox takes more events: whoever reports events waits while it is full.

The inbox is in the memory of Redis. Without a bound, a bucket that gets ten million objects would fill it, and then
nothing could be stored any more, not even results. So sources keep their events: the gateway answers MinIO with 503
and MinIO sends them again, a list stays in its Redis, a folder is looked through later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from workers.redis.connection import StoreUnavailable

INBOX = "inbox"
"""The service of ``InboxFull``: sources that wait for it say so in ``wildtag status``."""
LOOK_EVERY_S = 0.25
REMIND_EVERY_S = 60.0

log = structlog.get_logger()


class InboxFull(StoreUnavailable):
    """Too many events wait. Nothing is wrong with the one that was to be stored: it must come again."""

    def __init__(self, length: int, most: int) -> None:
        super().__init__(f"{length:,} events are waiting; the limit is {most:,} (WILDTAG_INBOX_MAX)", INBOX)


class InboxRoom:
    """Reads the length of the inbox a few times a second. Thread-safe.

    So the limit is exceeded by what arrives in that time.
    """

    def __init__(
        self, length: Callable[[], int], most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:  # fmt: skip
        """``length``: of the inbox; raises ``StoreUnavailable``. ``most``: events."""
        self._length = length
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._known = 0
        self._read_at = float("-inf")
        self._said_at = float("-inf")
        self._full = False

    @property
    def stale(self) -> bool:
        """Whether ``require`` would ask Redis."""
        return self._clock() - self._read_at >= LOOK_EVERY_S

    def require(self) -> None:
        """Raises ``InboxFull`` if no more events are accepted, and ``StoreUnavailable``."""
        with self._lock:
            if self.stale:
                self._known = self._length()
                self._read_at = self._clock()
                self._log()
        if self._full:
            raise InboxFull(self._known, self._most)

    def _log(self) -> None:
        before, self._full = self._full, self._known >= self._most
        if self._full and self._clock() - self._said_at >= REMIND_EVERY_S:
            self._said_at = self._clock()
            log.warning("the inbox is full, sources of events wait", events=self._known, limit=self._most)
        elif before and not self._full:
            log.info("the inbox takes events again", events=self._known)
