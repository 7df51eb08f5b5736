"""Runs a check that may hang, without blocking the caller."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Probe:
    """Runs the check at most every ``interval`` seconds, in its own thread, one at a time."""

    def __init__(self, question: Callable[[], bool], interval: float) -> None:
        self._question = question
        self._interval = interval
        self._next = float("-inf")
        self._thread: threading.Thread | None = None
        self._answer: bool | None = None
        self.trouble = ""
        """The exception of the last check, if any."""

    def poll(self, now: float) -> bool | None:
        """The result since the last call, ``None`` if there is none. Never blocks."""
        if self._thread is not None:
            if self._thread.is_alive():
                return None
            self._thread = None
            self._next = now + self._interval
            return self._answer
        if now >= self._next:
            # a daemon: a check that never ends must not keep the supervisor from ending
            self._thread = threading.Thread(target=self._ask, daemon=True)
            self._thread.start()
        return None

    def _ask(self) -> None:
        try:
            self._answer = bool(self._question())
            self.trouble = ""
        except Exception as exc:  # any exception means "no"
            self._answer = False
            self.trouble = f"{type(exc).__name__}: {exc}"
