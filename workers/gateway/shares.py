"""Divides a limited resource, such as bytes of memory, among callers.

A caller may hold as much as is free for others: alone half of it, with another one a third. So there is always
something left for a newcomer, and nothing is reserved for callers that do not exist. This is the dynamic threshold
with α = 1 of Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet switches" (1998).
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

Refusal = Literal["full", "share"]


class Shares:
    """Amounts that callers hold of ``limit``, in any unit. ``least``: what a caller gets if it is free.

    For one thread.
    """

    def __init__(self, limit: int, *, least: int = 1) -> None:
        self.limit = limit
        self.used = 0
        self._least = least
        self._held: Counter[str] = Counter()

    def refusal(self, caller: str | None, amount: int) -> Refusal | None:
        """Why a caller cannot have ``amount`` more: everything is in use, or its share is. ``None`` if it can.

        ``caller``: ``None`` for one without a share of its own, who may have everything.
        """
        free = self.limit - self.used - amount
        if free < 0:
            return "full"
        if caller is not None and self._held[caller] + amount > max(self._least, free):
            return "share"
        return None

    def take(self, caller: str | None, amount: int) -> None:
        """Give ``amount`` to a caller. Call ``refusal`` before."""
        self.used += amount
        if caller is not None:
            self._held[caller] += amount

    def give_back(self, caller: str | None, amount: int) -> None:
        """Take ``amount`` back."""
        self.used -= amount
        if caller is not None:
            self._held[caller] -= amount
            if self._held[caller] <= 0:
                del self._held[caller]

    def held(self, caller: str) -> int:
        """What a caller holds."""
        return self._held[caller]
