"""The rows of a table of text, in its dialect. What is no row is left out, and what follows it is read."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain

from vectordb.readers.dialect import FIELDS_MAX, Dialect
from vectordb.readers.rows import OPEN_QUOTE, Skipped, skip

ROW_LINES, ROW_LENGTH = 200, 1 << 16  # lines and characters of a row: a quote that is open for longer is not closed
_SUSPECT = 3  # lines within a quoted field that are rows themselves

# the number of a row's first line, and its fields, or why it is left out
Record = tuple[int, list[str] | Skipped]


def records(lines: Iterator[tuple[int, str]], dialect: Dialect) -> Iterator[Record]:
    """The rows in numbered lines, which have their ends. A blank line is an empty row.

    A quoted field may contain line ends. A quote that is not closed costs its own line only: the lines after it are
    read again.
    """
    if dialect.quote is None:
        for number, line in lines:
            yield number, _unquoted_row(line, dialect)
        return
    again: list[tuple[int, str]] = []
    source = chain(lines)
    width = 0
    while True:
        taken: list[tuple[int, str]] = []
        length = 0
        spent = False

        def feed() -> Iterator[str]:
            nonlocal length, again, spent
            while True:
                one = again.pop() if again else next(source, None)
                if one is None:
                    spent = True
                    return
                taken.append(one)
                length += len(one[1])
                if len(taken) > 1 and (len(taken) > ROW_LINES or length > ROW_LENGTH):
                    raise csv.Error("too long")
                yield one[1]

        reader = dialect.reader(feed())
        try:
            for row in reader:
                if len(taken) > _SUSPECT and _swallowed(taken, dialect, width):
                    raise csv.Error("swallowed")
                if len(row) > 1:
                    width = len(row)
                yield taken[0][0], row
                taken.clear()
                length = 0
            return
        except csv.Error as exc:
            if not taken:
                return
            number, line = taken[0]
            again += reversed(taken[1:])
            if dialect.delimiter is None:
                yield number, [line.rstrip("\r\n")]
            elif len(taken) == 1 and "unexpected end" not in str(exc) and not spent:
                yield number, skip(OPEN_QUOTE, f"its quotes are not valid: {exc}", f"line {number}")
            else:
                yield number, skip(OPEN_QUOTE, "a quote in it is never closed", f"line {number}")
            if spent and not again:
                return


def unquoted(value: str) -> str:
    """A field without its quotes, if it is quoted as a whole."""
    inner = value[1:-1]
    if len(value) > 1 and value[0] == value[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return value


def _unquoted_row(line: str, dialect: Dialect) -> list[str]:
    text = line.removesuffix("\n").removesuffix("\r")
    if not text:
        return []
    if dialect.delimiter is None:
        return [text]
    row = text.split(dialect.delimiter, FIELDS_MAX)
    return list(map(unquoted, row)) if '"' in text else row


def _swallowed(taken: list[tuple[int, str]], dialect: Dialect, width: int) -> bool:
    """Whether most lines of a row, but for its first one, are rows of a usual width themselves."""
    if width < 2 or dialect.delimiter is None:
        return False
    later = [line for _, line in taken[1:]]
    return sum(line.count(dialect.delimiter) == width - 1 for line in later) * 5 > len(later) * 4
