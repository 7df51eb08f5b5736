"""How a table in a text file is written: its delimiter and its quotes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

FIELDS_MAX = 1000  # of a row


@dataclass(frozen=True)
class Dialect:
    """``delimiter``: ``None`` for one column. ``escaped``: a backslash stands before quotes within quotes.

    ``spaced``: a space may follow a delimiter. ``skip``: lines before the table.
    """

    delimiter: str | None
    quote: str | None = None
    escaped: bool = False
    spaced: bool = False
    skip: int = 0

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Python's reader of this dialect."""
        options: dict[str, object] = {
            "delimiter": self.delimiter or "\x1f", "strict": True, "skipinitialspace": self.spaced,
            "quoting": csv.QUOTE_NONE if self.quote is None else csv.QUOTE_MINIMAL,
        }  # fmt: skip
        if self.quote is not None:
            options |= {"quotechar": self.quote, "doublequote": not self.escaped}
        if self.escaped:
            options["escapechar"] = "\\"
        return csv.reader(lines, **options)  # type: ignore[arg-type]  # the options are those of a dialect
