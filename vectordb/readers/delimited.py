"""Reads tables of text: CSV, TSV and their relatives. The column is a name, or a number from 1.

The encoding, the delimiter and the quotes are detected (``encodings``, ``dialect``), because a suffix says little of
them. A row with another number of fields than the others is left out and reported, and so are lines that cannot be
decoded and quotes that are never closed. Blank lines are no rows.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from vectordb.readers import dialect as dialects
from vectordb.readers.choice import Column, choose, column_of, texts_in
from vectordb.readers.dialect import Undecided, shown
from vectordb.readers.headers import TITLES, differs, titles_above
from vectordb.readers.lines import Block, blocks, split, unreadable
from vectordb.readers.names import is_header
from vectordb.readers.options import TextOptions
from vectordb.readers.records import Record, records
from vectordb.readers.rows import RAGGED, BadSource, OnProgress, Rows, Skipped, Tally, name_of, packed, skip
from vectordb.readers.table_format import FIELDS_MAX, Dialect

# lines to detect the dialect by, and rows to choose the column by
_LINES, _ROWS = 1000, 500
_LENGTH = 1 << 20  # characters of these lines
_SHARE, _FEW = 0.5, 3  # of the first rows that may be left out; with fewer rows, as long as one is left
_JSON_STARTS = ('{"', "{ ", '["', "[{", "[ ")


def read_csv(path: Path, column: str | None, on_progress: OnProgress, options: TextOptions) -> Iterator[Rows]:
    """The captions of a table. Raises ``BadSource`` if its dialect or its column cannot be determined."""
    yield from _read(path, column, on_progress, options, (",",))


def read_tsv(path: Path, column: str | None, on_progress: OnProgress, options: TextOptions) -> Iterator[Rows]:
    """As ``read_csv``; where both are possible, a tab is the delimiter."""
    yield from _read(path, column, on_progress, options, ("\t",))


def read_text(path: Path, column: str | None, on_progress: OnProgress, options: TextOptions) -> Iterator[Rows]:
    """The lines of a file. If ``options`` are not sure of the format, it may turn out to be a table."""
    yield from _read(path, column, on_progress, options, None)


def _read(
    path: Path, column: str | None, on_progress: OnProgress, options: TextOptions, first: tuple[str, ...] | None
) -> Iterator[Rows]:
    notes: list[str] = []
    source = blocks(path, on_progress, options.encoding, notes)
    if first is None and options.sure and options.delimiter is None:
        yield from packed(_lines(path, column, source), notes)
        return
    begin: list[Block] = []
    fault: BadSource | None = None
    length = count = 0
    try:
        for block in source:
            begin.append(block)
            length += len(block.text)
            count += block.text.count("\n")
            if count >= _LINES or length >= _LENGTH:
                break
    except BadSource as exc:
        fault = exc
        if not begin:
            raise
    found = _dialect(path, begin, options, first, column)
    every = chain(begin, _failing(fault) if fault else source)
    if found is None:
        yield from packed(_lines(path, column, every), notes)
        return
    table = _Table(path, found, column, notes, plain=first is None)
    yield from packed(table.texts(records(_numbered(every, found.skip), found)), notes)


def _dialect(
    path: Path, begin: list[Block], options: TextOptions, first: tuple[str, ...] | None, column: str | None
) -> Dialect | None:
    """The dialect; ``None`` for plain text."""
    lines = [
        line
        for block in begin
        for line in (io.StringIO(block.text, newline="\n") if not block.faulty else _good(block))
    ][:_LINES]
    try:
        wanted = dialects.named(options.delimiter) if options.delimiter is not None else None
        if first is None and wanted is None and not options.sure:
            _refuse_json(path, lines)
        sure = first is not None or column is not None
        found = dialects.detect(lines, wanted, first or (), sure=sure)
    except (Undecided, ValueError) as exc:
        raise BadSource(path, str(exc), "line 1") from exc
    if found.delimiter is None and first is None:
        return None
    return found


def _good(block: Block) -> Iterator[str]:
    return (line for line in io.StringIO(block.text, newline="\n") if unreadable(line, "") is None)


def _refuse_json(path: Path, lines: list[str]) -> None:
    there = [line.lstrip() for line in lines[:20] if line.strip()]
    if there and sum(line.startswith(_JSON_STARTS) for line in there) * 2 > len(there):
        raise BadSource(path, "this is JSON, not text: run with --format jsonl, or --format coco for one value")


def _lines(path: Path, column: str | None, source: Iterator[Block]) -> Iterator[str | Skipped]:
    """The lines of plain text. An empty line is an empty caption."""
    if column is not None:
        raise BadSource(path, f"plain text has no columns, so there is no {column!r}; is it a CSV or TSV file?")
    tally = Tally(path, "If this is text, name its encoding with --encoding; if not, its format with --format")
    for block in source:
        if not block.faulty:
            lines = split(block.text)
            tally.rows(len(lines))
            yield from lines
            continue
        for number, line in enumerate(split(block.text), block.number):
            bad = unreadable(line, f"line {number}")
            if bad is None:
                tally.rows(1)
            yield line if bad is None else tally.skipped(bad)
    tally.finish()


def _numbered(source: Iterator[Block], skipped: int) -> Iterator[tuple[int, str]]:
    for block in source:
        for number, line in enumerate(io.StringIO(block.text, newline="\n"), block.number):
            if number > skipped:
                yield number, line


def _failing(fault: BadSource) -> Iterator[Block]:
    raise fault
    yield  # makes this a generator: the fault is raised in its place


class _Table:
    """Rows of a table, and the choice of their caption column."""

    def __init__(self, path: Path, dialect: Dialect, column: str | None, notes: list[str], *, plain: bool) -> None:
        self._path = path
        self._dialect = dialect
        self._column = column
        self._notes = notes
        self._plain = plain
        mark = shown(dialect.delimiter) if dialect.delimiter else "none"
        self._delimiter = mark
        self._tally = Tally(
            path,
            f"The delimiter is {mark}, as detected: quote the fields that contain it, or name another one with"
            " --delimiter, or the encoding with --encoding",
        )

    def texts(self, rows: Iterator[Record]) -> Iterator[str | Skipped]:
        """The captions of all rows, in order."""
        sample, fault = self._sample(rows)
        good = [row for _, row in sample if isinstance(row, list) and self._readable(row, 0) is None]
        if not good:
            yield from (self._tally.skipped(row) for _, row in sample if isinstance(row, Skipped))
            self._tally.finish()
            return
        header, width = self._shape(good)
        above = good[: next(i for i, row in enumerate(good) if row is header)] if header else []
        at, written = self._chosen(good, width, header)
        self._note(header, at)
        every = chain(sample, _none(fault) if fault else rows)
        for number, row in every:
            if isinstance(row, Skipped):
                yield self._tally.skipped(row)
            elif row is header or (row == header and len(row) > 1):  # again where files were joined
                continue
            elif above and row is above[0]:
                above.pop(0)
                yield self._tally.skipped(skip(RAGGED, "it stands above the names of the columns", f"line {number}"))
            elif bad := self._readable(row, number) or self._length(row, width, number):
                yield self._tally.skipped(bad)
            elif row:
                self._tally.row()
                for place in at:
                    yield from texts_in(row[place], f"line {number}", written=written)
        self._tally.finish()

    def _note(self, header: list[str] | None, at: list[int]) -> None:
        """Tell users what was detected."""
        if self._plain or self._dialect.delimiter not in {None, ","}:
            self._notes.append(f"{name_of(self._path)}: a table with the delimiter {self._delimiter}")
        if header and self._column is None:
            taken = ", ".join(repr(header[place].strip()) for place in at if place < len(header))
            self._notes.append(f"{name_of(self._path)}: captions are in the column {taken}")

    def _sample(self, rows: Iterator[Record]) -> tuple[list[Record], BadSource | None]:
        """The first rows that are not blank, and the fault after them. Raises it if there are none."""
        sample: list[Record] = []
        length = 0
        try:
            for number, row in islice(rows, _ROWS):
                if row:
                    sample.append((number, row))  # keeps the rows before a fault
                length += sum(map(len, row)) if isinstance(row, list) else 0
                if length > _LENGTH:
                    break
                if isinstance(row, list) and len(row) > FIELDS_MAX:
                    wide = f"it has more than {FIELDS_MAX:,} fields: this is no list of captions"
                    return sample, BadSource(self._path, wide, f"line {number}")
        except BadSource as exc:
            if not sample:
                raise
            return sample, exc
        return sample, None

    def _readable(self, row: list[str], number: int) -> Skipped | None:
        """Why a row cannot be read, if so. Undecodable bytes are rare, so the fields are joined to look for them."""
        text = "\t".join(row)
        return None if text.isprintable() else unreadable(text, f"line {number}")

    def _length(self, row: list[str], width: int, number: int) -> Skipped | None:
        if len(row) == width or not row:
            return None
        fields = (
            f"{len(row)} field{'s' * (len(row) != 1)} separated by {self._delimiter}, but the other rows have {width}"
        )
        return skip(RAGGED, fields, f"line {number}")

    def _shape(self, good: list[list[str]]) -> tuple[list[str] | None, int]:
        """The header, if there is one, and the number of fields of the rows.

        The header is the first row, or the first one below lines of another kind, such as a title. Rows above it
        are no rows of the table.
        """
        good = good[titles_above(good) :]
        first = good[0]
        widths = Counter(map(len, good[1:])) or Counter([len(first)])
        usual, _ = widths.most_common(1)[0]
        if len(first) == 1 < usual:
            first = next((row for row in good[:TITLES] if len(row) == usual), first)
        body = [row for row in good if len(row) == len(first) and row is not first]
        wanted = self._column is not None and self._column in [name.strip() for name in first]
        header = wanted or is_header(first) or (len(first) == usual and differs(first, body))
        width = len(first) if header else usual
        if header and len(first) == usual - 1 and not any(row[-1].strip() for row in good[1:] if len(row) == usual):
            width = usual  # a delimiter at the end of each row
        if (
            (widths.total() - widths[width]) > widths.total() * _SHARE
            and (widths.total() > 3 or not widths[width])
            and len(good) > 1
        ):
            often = ", ".join(f"{n:,} rows have {fields}" for fields, n in widths.most_common(3))
            names = f"the first line names {width} columns, but " if header else ""
            raise BadSource(
                self._path,
                f"the numbers of fields separated by {self._delimiter} do not agree: {names}{often}. Quote the"
                " fields that contain it, or name another delimiter with --delimiter; if every line is one caption,"
                " run with --format text",
                "line 1",
            )
        return first if header else None, width

    def _chosen(self, good: list[list[str]], width: int, header: list[str] | None) -> tuple[list[int], bool]:
        """The positions of the caption fields, and whether they hold written lists."""
        names = [name.strip().strip("\"'") for name in header or ()]
        names += [str(number + 1) for number in range(len(names), width)]
        body = [row for row in good if len(row) == width and row is not header]
        columns: list[Column] = [column_of(name, [row[i] for row in body]) for i, name in enumerate(names[:width])]
        if not header and self._column is not None and not self._column.isdecimal():
            held = ", ".join(value[:40] for value in good[0])
            raise BadSource(
                self._path,
                f"there is no column {self._column!r}; the first row holds: {held}. For a file without a header, give"
                " the column's number",
                "line 1",
            )
        if not body and header and self._column is None and not any(column.usable for column in columns):
            return [0], False  # a header alone: there is nothing to choose, and nothing to read
        at, note = choose(self._path, columns, self._column, "line 1")
        if note:
            self._notes.append(note)
        return at, columns[at[0]].written


def _none(fault: BadSource) -> Iterator[Record]:
    raise fault
    yield  # as above
