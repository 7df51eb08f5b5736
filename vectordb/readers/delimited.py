"""Reads CSV and TSV. The column is a name if the file has a header, or a number from 1.

CSV has quotes as in RFC 4180; a quoted field may contain line breaks. TSV has none: a tab or a line break always ends
a field, so a stray quote in a caption has no effect. Only a field that is quoted as a whole loses its quotes. Every
row must have as many fields as the first one; blank lines are skipped.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from vectordb.readers.lines import blocks, split
from vectordb.readers.rows import (
    CAPTION_NAMES,
    LONGEST,
    BadSource,
    OnProgress,
    Rows,
    caption_column,
    looks_like_address,
    packed,
)

# other frequent names in headers of caption files; such a word in the first row marks it as a header
_OTHER_NAMES = {"url", "image_url", "image_path", "filename", "file_name", "filepath", "image_id", "similarity"}
_NAME = re.compile(r"[A-Za-z_#][\w .:-]{0,40}")
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?([eE][-+]?\d+)?")
FIELDS_MAX = 1000  # of a row
# rows used to guess the column if there is no header
_SAMPLE = 100

# the number of a row's last line, and its fields
_Numbered = tuple[int, list[str]]


def read_csv(path: Path, column: str | None, on_progress: OnProgress) -> Iterator[Rows]:
    """The captions of a comma-separated file. Raises ``BadSource`` for a row with another number of fields."""
    return packed(_texts(path, column, _csv(path, on_progress)))


def read_tsv(path: Path, column: str | None, on_progress: OnProgress) -> Iterator[Rows]:
    """The captions of a tab-separated file; otherwise as ``read_csv``."""
    return packed(_texts(path, column, _tsv(path, on_progress)))


def _csv(path: Path, on_progress: OnProgress) -> Iterator[_Numbered]:
    length = 0

    def lines() -> Iterator[str]:
        nonlocal length
        for number, block in blocks(path, on_progress):
            for line in io.StringIO(block, newline="\n"):
                length += len(line)
                if length > LONGEST and length > len(line):  # a line by itself is bounded by its reader
                    raise BadSource(path, f"a row is longer than {LONGEST:,} characters", f"lines from {number}")
                yield line

    reader = csv.reader(lines(), strict=True)
    try:
        for row in reader:
            length = 0
            if row:
                yield reader.line_num, row
    except csv.Error as exc:
        fault = f"this is not valid CSV: {exc}; a quoted field may not be closed"
        raise BadSource(path, fault, f"line {reader.line_num}") from exc


def _tsv(path: Path, on_progress: OnProgress) -> Iterator[_Numbered]:
    for number, block in blocks(path, on_progress):
        quoted = '"' in block
        for i, line in enumerate(split(block)):
            if line:
                row = line.split("\t", FIELDS_MAX)
                yield number + i, list(map(_unquoted, row)) if quoted and '"' in line else row


def _unquoted(value: str) -> str:
    """A field without its quotes, if it is quoted as a whole."""
    inner = value[1:-1]
    if len(value) > 1 and value[0] == value[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return value


def _texts(path: Path, column: str | None, rows: Iterator[_Numbered]) -> Iterator[str]:
    sample: list[_Numbered] = []
    fault: BadSource | None = None
    try:
        for one in islice(rows, _SAMPLE):
            sample.append(one)  # keeps the rows before a fault
            if len(one[1]) > FIELDS_MAX:
                break
    except BadSource as exc:
        if not sample:
            raise
        fault = exc
    if not sample:
        return
    width = len(sample[0][1])
    if width > FIELDS_MAX:
        raise BadSource(path, f"it has more than {FIELDS_MAX:,} fields: this is no list of captions", "line 1")
    at, header = _choice(path, column, sample)
    for number, row in chain(sample[header:], _failing(fault) if fault else rows):
        if len(row) != width:
            raise BadSource(path, f"{len(row)} fields, but the first row has {width}", f"line {number}")
        yield row[at]


def _failing(fault: BadSource) -> Iterator[_Numbered]:
    raise fault
    yield  # makes this a generator: the fault is raised in its place


def _choice(path: Path, column: str | None, sample: list[_Numbered]) -> tuple[int, bool]:
    """The index of the caption field, and whether the first row is a header."""
    first = sample[0][1]
    by_number = column is None or column.isdecimal()
    if column is not None and column in first:
        return first.index(column), True
    if _is_header(first):
        return first.index(caption_column(path, first, column, position="line 1")), True
    numbers = [str(i + 1) for i in range(len(first))]
    if not by_number:
        fault = f"there is no column {column!r}; the first row holds: {', '.join(value[:40] for value in first)}"
        raise BadSource(path, f"{fault}. For a file without a header, give the column's number", "line 1")
    rows = [row for _, row in sample if len(row) == len(first)]
    textual = [number for i, number in enumerate(numbers) if _is_text([row[i] for row in rows])]
    return int(caption_column(path, numbers, column, textual, "line 1")) - 1, False


def _is_header(row: list[str]) -> bool:
    """Whether a row is a header: all fields differ and look like names, and one is known."""
    known = {name.lower() for name in row} & {*CAPTION_NAMES, *_OTHER_NAMES}
    return bool(known) and len(set(row)) == len(row) and all(not name or _NAME.fullmatch(name) for name in row)


def _is_text(values: list[str]) -> bool:
    """Whether a column holds text, not URLs, numbers or empty fields."""
    other = sum(not value or looks_like_address(value) or bool(_NUMBER.fullmatch(value)) for value in values)
    return other * 2 < len(values)
