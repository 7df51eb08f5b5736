"""Announces the pauses of uploads: why, and for how long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from workers.cli.console import clean, messages
from workers.client import Waiting

EVERY_S = 10.0  # between two lines for one reason: several uploads wait for the same


class Waits:
    """Prints a line for a pause, unless another upload waits for the same reason."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def say(self, waiting: Waiting) -> None:
        """Print the line. Called in the threads of the uploads."""
        reason, now = str(waiting.error), self._clock()
        with self._lock:
            if now < self._until.get(reason, 0.0):
                return
            self._until[reason] = now + max(EVERY_S, waiting.seconds)
        what = (
            f"Attempt {waiting.attempt} follows in {_words(waiting.seconds)}, the last within {_words(waiting.left)}."
        )
        messages.print(f"[yellow]{clean(reason)}.[/] {what}", soft_wrap=True, highlight=False)


def _words(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
