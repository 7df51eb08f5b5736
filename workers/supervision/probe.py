"""Asking a question that may hang, without hanging with it."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Probe:
    """Asks at most every ``interval`` seconds, in a thread of its own, one question at a time."""

    def __init__(self, question: Callable[[], bool], interval: float) -> None:
        self._question = question
        self._interval = interval
        self._next = float("-inf")
        self._thread: threading.Thread | None = None
        self._answer: bool | None = None
        self.trouble = ""
        """What the last question raised, if it did."""

    def poll(self, now: float) -> bool | None:
        """The answer that came in since the last call, ``None`` when none did. Never blocks."""
        if self._thread is not None:
            if self._thread.is_alive():
                return None
            self._thread = None
            self._next = now + self._interval
            return self._answer
        if now >= self._next:
            # a daemon: a question that never ends must not keep the supervisor from ending
            self._thread = threading.Thread(target=self._ask, daemon=True)
            self._thread.start()
        return None

    def _ask(self) -> None:
        try:
            self._answer = bool(self._question())
            self.trouble = ""
        except Exception as exc:  # whatever a question raises, the answer is no
            self._answer = False
            self.trouble = f"{type(exc).__name__}: {exc}"
