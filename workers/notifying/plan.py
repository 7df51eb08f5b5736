"""Decides what follows from a response: delivered, retry and when, or give up. Time and chance are arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FIRST_WAIT = 5.0  # seconds
GROWTH = 3.2  # ten attempts take 22 hours
LONGEST_WAIT = 86_400.0
JITTER = 0.2  # relative deviation of a wait, so that deliveries that failed together are not retried together
HOLD_MOST = 60.0  # seconds that one response may pause all deliveries
ASKS_TO_WAIT = frozenset({429, 503})
GONE = 410

Outcome = Literal["delivered", "retried", "dead"]


@dataclass(frozen=True)
class Answer:
    """The result of an attempt. ``status`` is ``None`` if there was no response; ``detail`` then holds the reason.

    ``detail``: the beginning of the body. ``retry_after``: seconds that the receiver asks for, 0 if none.
    """

    status: int | None
    detail: str = ""
    retry_after: float = 0.0

    @property
    def taken(self) -> bool:
        """Whether the receiver has accepted it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def hold(self) -> float:
        """Seconds during which the receiver wants no requests."""
        return min(self.retry_after, HOLD_MOST) if self.status in ASKS_TO_WAIT else 0.0

    def __str__(self) -> str:
        if self.status is None:
            return self.detail
        redirected = " (redirects are not followed)" if 300 <= self.status < 400 else ""
        return f"HTTP {self.status}{redirected}{f': {self.detail}' if self.detail else ''}"


@dataclass(frozen=True)
class Verdict:
    """The outcome of a delivery. ``at``: when the next attempt is due (Unix seconds)."""

    outcome: Outcome
    at: float = 0.0


@dataclass(frozen=True)
class Plan:
    """The number of attempts and the delay after each failure (seconds)."""

    attempts: int
    first_wait: float = FIRST_WAIT

    def wait(self, failed: int, chance: float) -> float:
        """Delay after ``failed`` failures. ``chance`` is from 0 to 1."""
        usual: float = min(self.first_wait * GROWTH ** min(failed - 1, 50), LONGEST_WAIT)
        return usual * (1 + JITTER * (2 * chance - 1))

    def verdict(self, answer: Answer, failed: int, now: float, chance: float) -> Verdict:
        """Outcome of an attempt that ended ``now``. ``failed``: failures so far, including this one."""
        if answer.taken:
            return Verdict("delivered")
        if answer.status == GONE or failed >= self.attempts:
            return Verdict("dead")
        asked = min(answer.retry_after, LONGEST_WAIT) if answer.status in ASKS_TO_WAIT else 0.0
        return Verdict("retried", now + max(self.wait(failed, chance), asked))
