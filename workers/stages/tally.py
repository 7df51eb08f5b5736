"""What became of the objects of a message: the result of its task, which Flower and the worker's log show."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

REASONS = 3  # that are named for each outcome


class Tally:
    """Counts objects by outcome. ``repr``: ``2 done, 1 failed: damaged``; Celery prints that of a result."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._reasons: dict[str, Counter[str]] = {}
        self._also: list[str] = []

    def add(self, outcome: str, count: int, reasons: Iterable[str] = ()) -> None:
        """Count objects. ``reasons``: their codes."""
        if count:
            self._counts[outcome] += count
            self._reasons.setdefault(outcome, Counter()).update(reasons)

    def say(self, what: str) -> None:
        """Add what concerns the whole message."""
        self._also.append(" ".join(what.split()))

    def __repr__(self) -> str:
        parts = [f"{count} {outcome}{self._because(outcome)}" for outcome, count in self._counts.items()]
        return "; ".join(filter(None, (", ".join(parts), *self._also))) or "nothing to do"

    def _because(self, outcome: str) -> str:
        reasons = [reason for reason, _ in self._reasons[outcome].most_common()]
        more = ", …" if len(reasons) > REASONS else ""
        return f": {', '.join(reasons[:REASONS])}{more}" if reasons else ""


_of_thread = threading.local()


@contextmanager
def counting() -> Iterator[Tally]:
    """Count in this thread during the block."""
    _of_thread.current = made = Tally()
    try:
        yield made
    finally:
        _of_thread.current = None


def current() -> Tally:
    """The tally of the message that this thread works on; of nothing if it works on none."""
    return getattr(_of_thread, "current", None) or Tally()
