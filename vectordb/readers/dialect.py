"""How a table in a text file is written: its delimiter, and its quotes. Detected from its first lines.

Each possible delimiter is tried on the first lines. It is chosen if nearly all rows have the same number of fields,
and if one of the columns then holds captions. What cannot be decided raises ``Undecided``, which names the delimiter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from vectordb.readers.content import CAPTIONS, example, kind_of, leads_with_id, leads_with_other
from vectordb.readers.names import CAPTION_NAMES, is_header
from vectordb.readers.records import records
from vectordb.readers.rows import Skipped
from vectordb.readers.table_format import FIELDS_MAX, Dialect

DELIMITERS = (",", "\t", ";", "|")
RARE = ("\x01", "\x1f", "\x1e", "^", "~", "¦", "§")  # rare in prose: their counts agree only if they separate
_NAMES = {"\t": "tab", " ": "space", "\x01": "\\x01", "\x1f": "\\x1f", "\x1e": "\\x1e"}
_BY_NAME = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";", "pipe": "|", "colon": ":"}
_AGREE = 0.8  # share of the rows with the same number of fields
_LINES_OF_ROW = 20  # at most, on average, where fields are quoted
_SINGLE = 0.05  # share of the lines with a delimiter of a file that still counts as one column
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_NO_CAPTIONS = {"file names", "addresses", "e-mail addresses", "hashes", "numbers", "dates", "ids", "structures"}
_DECIMAL = re.compile(r"(?<=\d),(?=\d)")


class Undecided(ValueError):
    """The delimiter cannot be determined; the message says why, and what to do."""


def shown(delimiter: str) -> str:
    """A delimiter for messages."""
    return _NAMES.get(delimiter, f"'{delimiter}'")


def named(delimiter: str) -> str:
    """The delimiter that a user means: one character, or a name such as ``tab``. Raises ``ValueError``."""
    found = _BY_NAME.get(delimiter.lower(), delimiter)
    if re.fullmatch(r"\\x[0-9a-fA-F]{2}", found):
        found = bytes.fromhex(found[2:]).decode("latin-1")
    if len(found) != 1 or found in '\n\r"\0':
        raise ValueError(f"the delimiter must be one character or one of {', '.join(_BY_NAME)}, not {delimiter!r}")
    return found


def detect(lines: Sequence[str], wanted: str | None, first: Sequence[str], *, sure: bool) -> Dialect:
    """The dialect of a table that begins with these lines, given with their ends.

    ``wanted``: the delimiter, if a user named it. ``first``: delimiters to prefer, by the file's name. ``sure``: the
    file is a table; otherwise it may be plain text, which has one column. Raises ``Undecided``.
    """
    skip = 0
    if lines and (found := _SEPARATOR_LINE.fullmatch(lines[0])):
        skip, lines = 1, lines[1:]
        wanted = wanted or found[1]
    there = [line for line in lines if line.strip()]
    if wanted is not None:
        return replace(_quoted(there, wanted), skip=skip)
    if not there or (len(there) == 1 and not any(mark in there[0] for mark in DELIMITERS)):
        return Dialect(None, '"' if sure else None)
    trials = [_Trial(there, delimiter) for delimiter in dict.fromkeys((*first, *DELIMITERS, *RARE))]
    fit = [trial for trial in trials if trial.fits(sure=sure)]
    if fit:
        best = max(fit, key=lambda trial: trial.score)
        return best.dialect
    if not sure:
        _check_lines(there)
        return Dialect(None)
    return _one_column(there, trials)


class _Trial:
    """A delimiter, tried on some lines."""

    def __init__(self, lines: Sequence[str], delimiter: str) -> None:
        self.delimiter = delimiter
        self.dialect = Dialect(delimiter)
        self.lines = lines
        self.share = self.quoted_share = 0.0
        self.width = 1
        self.rows: list[list[str]] = []
        quoted = any('"' in line for line in lines)  # a row may then have several lines
        if sum(delimiter in line for line in lines) * (_LINES_OF_ROW if quoted else 2) < len(lines):
            return
        self.dialect = _quoted(lines, delimiter)
        self.rows = parsed(lines, self.dialect)
        widths = Counter(map(len, self.rows))
        self.header = bool(self.rows) and len(self.rows[0]) > 1 and is_header(self.rows[0])
        self.width = len(self.rows[0]) if self.header else widths.most_common(1)[0][0]
        there = len(self.rows) - self.header or 1
        self.share = (widths[self.width] - self.header) / there
        if self.header and self.share < _AGREE and widths.most_common(1)[0][1] / len(self.rows) >= _AGREE:
            self.width = widths.most_common(1)[0][0]  # the reader compares it with the header
            self.share = widths[self.width] / there
        body = [row for row in self.rows[self.header :] if len(row) == self.width]
        self.columns = list(zip(*body, strict=True))
        self.kinds = [kind_of(column) for column in self.columns]

    def fits(self, *, sure: bool) -> bool:
        """Whether rows agree and their fields are those of a table of captions."""
        if self.width < 2 or self.width > FIELDS_MAX:
            return False
        if self.header and len(self.rows) == 1:
            return sure or sum(name.strip().lower() in CAPTION_NAMES for name in self.rows[0]) > 0
        few = len(self.rows) < 6 and self.share >= 0.5
        if self.share < _AGREE and not few:
            return False
        if self.header:
            return True
        others = any(kind != CAPTIONS for kind in self.kinds)
        if sure:
            return others or not self._like_prose()
        return (others and CAPTIONS in self.kinds) or (self.delimiter in {"\t", *RARE} and self.share > 0.95)

    @property
    def score(self) -> tuple[object, ...]:
        """The greater, the better it explains the lines."""
        captions = CAPTIONS in self.kinds if self.kinds else False
        clean = captions and not any(
            leads_with_other(column)
            for column, kind in zip(self.columns, self.kinds, strict=True)
            if kind == CAPTIONS
        )
        return (
            self.header, not self._decimal(), captions, clean, not self._like_prose(), round(self.share, 1),
            sum(kind != CAPTIONS for kind in self.kinds), self.share,
        )  # fmt: skip

    def _like_prose(self) -> bool:
        """Whether all fields but the first begin with a space, as after a comma in a sentence."""
        later = [value for row in self.rows for value in row[1:]]
        return self.delimiter in {",", ";"} and sum(value.startswith(" ") for value in later) * 2 > len(later)

    def _decimal(self) -> bool:
        """Whether the commas are those of decimal fractions."""
        text = "".join(self.lines)
        return self.delimiter == "," and len(_DECIMAL.findall(text)) * 4 > text.count(",") * 3


def _one_column(lines: Sequence[str], trials: Sequence[_Trial]) -> Dialect:
    """The dialect of a table without a delimiter. Raises ``Undecided`` if it may have one."""
    first = lines[0].strip().strip("\"'").strip().lower()
    quoted = _quoted(lines, None)
    alone = first in CAPTION_NAMES
    rows = parsed(lines, quoted)
    texts = [row[0] for row in rows if row]
    marks = {
        mark: sum(mark in line for line in _bare(lines, quoted)) for mark in (*DELIMITERS, *RARE)
    }  # fmt: skip
    mark, count = max(marks.items(), key=lambda one: one[1])
    if not alone and count > _SINGLE * len(lines):
        trial = next(trial for trial in trials if trial.delimiter == mark)
        widths = Counter(map(len, trial.rows or parsed(lines, _quoted(lines, mark))))
        often = ", ".join(f"{n:,} with {width}" for width, n in widths.most_common(3))
        raise Undecided(
            f"the delimiter cannot be determined: {shown(mark)} is in {count:,} of the first {len(lines):,} lines."
            f" As the delimiter it gives these numbers of fields: {often}. If it separates columns, quote the fields"
            f" that contain it, or run with --delimiter {_option(mark)}; if every line is one caption, run with"
            " --format text"
        )
    _check_lines(texts[alone:])
    return quoted


def _check_lines(texts: Sequence[str]) -> None:
    """Raise ``Undecided`` for lines that are no captions, or rows of a table with an unknown delimiter."""
    if (kind := kind_of(texts)) in _NO_CAPTIONS:
        raise Undecided(
            f"most lines hold {kind}, not captions, such as {example(texts)!r}; if every line is one caption, run"
            " with --format text"
        )
    if not leads_with_other(texts):
        if leads_with_id(texts):
            raise Undecided(
                f"most lines begin with a number or an id, such as {example(texts)!r}, so they are no captions."
                " Remove it from the lines, or, if it belongs to the captions, run with --format text"
            )
        return
    marks = Counter(char for line in texts for char in set(line) if not (char.isalnum() or char.isspace()))
    for mark in ".'\"_-/":
        marks.pop(mark, None)
    agreed = next((mark for mark, count in marks.most_common() if count * 10 >= len(texts) * 9), None)
    what = f"a delimiter such as {shown(agreed)}" if agreed else "an unknown delimiter"
    raise Undecided(
        f"most lines begin with a file name or an address, so they are rows with {what}, not captions. Run with"
        f" --delimiter {_option(agreed) if agreed else 'CHARACTER'} and --column NUMBER; if every line is one"
        " caption, run with --format text"
    )


def _option(delimiter: str) -> str:
    return {"\t": "tab"}.get(delimiter, _NAMES.get(delimiter, f"'{delimiter}'"))


def _bare(lines: Sequence[str], quoted: Dialect) -> list[str]:
    """The lines, without what is in quotes if fields are quoted."""
    if quoted.quote is None:
        return list(lines)
    inside = re.compile(rf"^\s*{quoted.quote}(?:[^{quoted.quote}]|{quoted.quote * 2})*{quoted.quote}\s*$")
    return [line for line in lines if not inside.match(line)]


def _quoted(lines: Sequence[str], delimiter: str | None) -> Dialect:
    """The dialect of this delimiter whose quotes explain the lines best."""
    plain = Dialect(delimiter)
    usual = Dialect(delimiter, '"')
    text = "".join(lines)
    mark = delimiter or ""
    possible = [plain, usual] if delimiter == "\t" else [usual, plain]
    if '\\"' in text:
        possible.append(replace(usual, escaped=True))
    if mark and f'{mark} "' in text:
        possible.append(replace(usual, spaced=True))
    if mark and text.count(f"'{mark}") + text.count(f"{mark}'") > len(lines) and '"' not in text:
        possible.append(Dialect(delimiter, "'"))
    if len(possible) == 2 and '"' not in text:
        return possible[0]

    def agreement(one: Dialect) -> float:
        rows = [row for _, row in _records(lines, one)]
        counts = Counter(len(row) for row in rows if isinstance(row, list) and row)
        if not counts:
            return 0.0
        left = sum(any(_half_quoted(value, one.quote) for value in row) for row in rows if isinstance(row, list))
        return (counts.most_common(1)[0][1] - left / 4) / len(rows)

    return max(possible, key=lambda one: round(agreement(one), 2))


def _half_quoted(value: str, quote: str | None) -> bool:
    """Whether a field that was not read as quoted begins or ends with a quote, but not both."""
    text = value.strip()
    if quote is not None or not text:
        return False
    return (text[0] == '"') != (text[-1] == '"')


def parsed(lines: Sequence[str], dialect: Dialect) -> list[list[str]]:
    """The rows in some lines; lines that are no rows are left out."""
    return [row for _, row in _records(lines, dialect) if isinstance(row, list) and row]


def _records(lines: Sequence[str], dialect: Dialect) -> Iterator[tuple[int, list[str] | Skipped]]:
    return records(iter(enumerate(lines, 1)), dialect)
