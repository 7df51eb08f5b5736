"""Where commands print, and how untrusted text is made safe to print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape

console = Console()
messages = Console(stderr=True)

SHORT = 30  # characters of a reason that is repeated in each row


def clean(name: str) -> str:
    """Escape untrusted text for printing: no markup, no control or bidirectional characters."""
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name))


class Footnotes:
    """Long reasons that many rows of a table have: each is said once below it, with their number."""

    def __init__(self, reasons: Iterable[str], what: str) -> None:
        """``reasons``: of all rows. ``what``: what a row is, in the plural."""
        counts = Counter(reasons)
        self._what = what
        self._counts = {one: count for one, count in counts.items() if count > 1 and len(one) > SHORT}
        self._numbers = {one: number for number, one in enumerate(self._counts, 1)}

    def cell(self, reason: str) -> str:
        """The reason, or the number of its note; safe to print."""
        return f"[{self._numbers[reason]}]" if reason in self._numbers else clean(reason)

    def print(self) -> None:
        """Print the notes."""
        for reason, number in self._numbers.items():
            console.print(f"[{number}] {self._counts[reason]:,} {self._what}: {clean(reason)}", soft_wrap=True)
