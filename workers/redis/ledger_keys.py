"""The names of the keys that tell what the ledger does as a whole.

They are part of the layout in ``workers.redis.keys``, which documents them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LedgerKeys:
    """The names under one prefix."""

    prefix: str

    @property
    def ledger(self) -> str:
        return f"{self.prefix}ledger"

    @property
    def ledger_counts(self) -> str:
        return f"{self.prefix}ledger:counts"

    @property
    def ledger_accepted(self) -> str:
        return f"{self.prefix}ledger:accepted"

    def ledger_queue(self, queue: str) -> str:
        return f"{self.prefix}ledger:queue:{queue}"

    @property
    def counting(self) -> tuple[str, str, str]:
        """The first keys of every script that changes the ledger, see ``scripts/counting.lua``."""
        return self.ledger_counts, self.ledger_accepted, self.ledger_queue("")
