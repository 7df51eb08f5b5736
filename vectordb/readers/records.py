"""The rows of a table of text, in its dialect. What is no row is left out, and what follows it is read."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from vectordb.readers.rows import OPEN_QUOTE, Skipped, skip
from vectordb.readers.table_format import FIELDS_MAX, Dialect

ROW_LINES, ROW_LENGTH = 200, 1 << 16  # lines and characters of a row: a quote that is open for longer is not closed
_SUSPECT = 3  # lines of a row, from which on they are compared with rows

Line = tuple[int, str]
# the number of a row's first line, and its fields, or why it is left out
Record = tuple[int, list[str] | Skipped]


def records(lines: Iterator[Line], dialect: Dialect) -> Iterator[Record]:
    """The rows in numbered lines, which have their ends. A blank line is an empty row.

    A quoted field may contain line ends. A quote that is not closed costs its own line only: the lines after it are
    read again.
    """
    if dialect.quote is None:
        return ((number, _plain(line, dialect)) for number, line in lines)
    return _Quoted(lines, dialect).records()


class _Quoted:
    """Reads rows with quotes. Keeps the lines of the row that is being read, to read them again."""

    def __init__(self, lines: Iterator[Line], dialect: Dialect) -> None:
        self._lines = lines
        self._dialect = dialect
        self._again: list[Line] = []  # the next line is the last
        self._taken: list[Line] = []
        self._length = 0
        self._width = 0

    def records(self) -> Iterator[Record]:
        """See ``records``."""
        while True:
            fault = ""
            self._taken, self._length = [], 0
            try:
                for row in self._dialect.reader(self._feed()):
                    if self._swallowed():
                        break
                    self._width = max(len(row), 1)
                    yield self._taken[0][0], row
                    self._taken, self._length = [], 0
            except csv.Error as exc:
                fault = str(exc)
            if not self._taken:
                return
            yield self._left_out(fault)

    def _feed(self) -> Iterator[str]:
        while line := self._again.pop() if self._again else next(self._lines, None):
            self._taken.append(line)
            self._length += len(line[1])
            if len(self._taken) > 1 and (len(self._taken) > ROW_LINES or self._length > ROW_LENGTH):
                raise csv.Error("unexpected end of data")
            yield line[1]

    def _left_out(self, fault: str) -> Record:
        """The first line of a row that is none; the others will be read again."""
        number, line = self._taken[0]
        self._again += reversed(self._taken[1:])
        if self._dialect.delimiter is None:  # a stray quote in the only column
            return number, [line.rstrip("\r\n")]
        closed = len(self._taken) == 1 and "unexpected end" not in fault
        what = f"its quotes are not valid: {fault}" if closed else "a quote in it is never closed"
        return number, skip(OPEN_QUOTE, what, f"line {number}")

    def _swallowed(self) -> bool:
        """Whether most lines of a row, but for its first one, are rows of the usual width themselves."""
        if len(self._taken) <= _SUSPECT or self._width < 2 or self._dialect.delimiter is None:
            return False
        later = [line for _, line in self._taken[1:]]
        return sum(line.count(self._dialect.delimiter) == self._width - 1 for line in later) * 5 > len(later) * 4


def unquoted(value: str) -> str:
    """A field without its quotes, if it is quoted as a whole."""
    inner = value[1:-1]
    if len(value) > 1 and value[0] == value[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return value


def _plain(line: str, dialect: Dialect) -> list[str]:
    text = line.removesuffix("\n").removesuffix("\r")
    if not text:
        return []
    if dialect.delimiter is None:
        return [text]
    row = text.split(dialect.delimiter, FIELDS_MAX)
    return list(map(unquoted, row)) if '"' in text else row
