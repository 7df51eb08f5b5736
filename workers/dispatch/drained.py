"""What a dispatcher does during a drain: it hands out nothing, confirms that, and says so again and again."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from workers.redis.drain import Drain

log = structlog.get_logger()

SAY_EVERY_S = 600.0
REST_S = 0.2  # between two looks


class Drained:
    """Asked before each hand-out. Raises ``StoreUnavailable``."""

    def __init__(self, drain: Drain, process: str, clock: Callable[[], float] = time.monotonic) -> None:
        """``process``: a name that is unique among dispatchers. ``clock``: seconds."""
        self._drain = drain
        self._process = process
        self._clock = clock
        self._say_at: float | None = None

    def __call__(self) -> bool:
        """Whether nothing may be handed out now. If so, returns after a short rest."""
        draining = self._drain.read()
        if draining is None:
            if self._say_at is not None:
                log.info("drain ended")
                self._say_at = None
            return False
        self._drain.confirm(draining, self._process)
        if self._say_at is None or self._clock() >= self._say_at:
            log.warning("draining", since=draining.since, then="nothing is tagged until `wildtag undrain`")
            self._say_at = self._clock() + SAY_EVERY_S
        time.sleep(REST_S)
        return True
