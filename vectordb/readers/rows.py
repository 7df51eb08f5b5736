"""The common parts of all readers: ``Rows``, ``BadSource``, and the choice of a column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from vectordb.errors import Permanent
from vectordb.index import Floats

# captions per piece: enough for cheap calls, little enough to hold 1,024 vectors in memory
PIECE = 1024
# bytes of a line, archive member or JSON string: longer ones are not captions and are not loaded
LONGEST = 1 << 20
# characters of a piece: it is not filled with texts that are as long as may be
PIECE_LENGTH = 1 << 23
# of vectors; a header that says more is wrong
DIMENSION_MAX = 1 << 16

# more rows than these and more than this share of a file are not left out: then it is read in the wrong way
SKIPPED_MIN, SKIPPED_SHARE = 10, 0.1

_FEW = 64  # texts between two looks at their length

# receives the number of bytes consumed so far
OnProgress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that is left out. ``reason``: one of the constants below; ``detail``: which row, and what is wrong."""

    reason: str
    detail: str


RAGGED, UNDECODABLE, ZERO, OPEN_QUOTE = "ragged", "undecodable", "zero_byte", "open_quote"
BAD_LIST, FAILED, UNUSABLE = "bad_list", "failed", "unusable_vector"


@dataclass(frozen=True, slots=True)
class Rows:
    """A piece of a source: at most 1,024 texts in order, and their vectors if the source has some.

    A row without a caption (null, an empty line) is an empty text, so that rows can be counted. So is a row that is
    left out; ``skipped`` says why, by its position in the piece. ``vectors`` is (n, d) float32, as stored: neither
    normalised nor checked. ``notes``: what users should know of how the source is read.
    """

    texts: Sequence[str]
    vectors: Floats | None = None
    skipped: Mapping[int, Skipped] = field(default_factory=dict)
    notes: Sequence[str] = ()


class BadSource(Permanent):
    """A source cannot be read, or not completely: which file, where in it, and why.

    ``position`` is a line, row, member or byte, counted from 1 except for bytes; ``None`` for the whole file.
    """

    def __init__(self, path: Path, fault: str, position: str | None = None) -> None:
        """``fault`` follows the position in the message and says what to do, if anything."""
        super().__init__(path, fault, position)
        self.path = path
        self.fault = fault
        self.position = position

    def __str__(self) -> str:
        name = name_of(self.path) if is_stdin(self.path) else str(self.path)
        return f"{name}, {self.position}: {self.fault}" if self.position else f"{name}: {self.fault}"


def is_stdin(path: Path) -> bool:
    """Whether a path means standard input, ``-``."""
    return str(path) == "-"


def name_of(path: Path) -> str:
    """A file's name for messages."""
    return "standard input" if is_stdin(path) else path.name


def packed(texts: Iterable[str | Skipped], notes: Iterable[str] = ()) -> Iterator[Rows]:
    """Texts in full pieces; the last may be smaller. Yields all texts before a ``BadSource`` is raised.

    ``notes`` may grow while texts are read; the piece that follows has them.
    """
    source = iter(texts)
    told = 0
    while True:
        piece: list[str | Skipped] = []
        fault: BadSource | None = None
        length = taken = 0
        try:
            while len(piece) < PIECE and length < PIECE_LENGTH:
                taken = len(piece)
                piece.extend(
                    islice(source, min(_FEW, PIECE - taken))
                )  # unlike list(…), keeps the texts before a fault
                if len(piece) == taken:
                    break
                length += sum(len(one) for one in piece[taken:] if isinstance(one, str))
        except BadSource as exc:
            fault = exc
        if piece:
            said = list(notes)[told:]
            told += len(said)
            skipped = {at: one for at, one in enumerate(piece) if isinstance(one, Skipped)}
            yield Rows([one if isinstance(one, str) else "" for one in piece], None, skipped, said)
        if fault is not None:
            raise fault
        if len(piece) == taken:
            return


class Tally:
    """Counts the rows of a file, and refuses a file of which too many are left out."""

    def __init__(self, path: Path, advice: str) -> None:
        """``advice``: what to do if too many rows are left out; follows a full stop."""
        self._path = path
        self._advice = advice
        self._rows = self._skipped = 0
        self._last: Skipped | None = None

    def row(self) -> None:
        """Count a row that is read."""
        self._rows += 1

    def rows(self, count: int) -> None:
        """Count rows that are read."""
        self._rows += count

    def skipped(self, one: Skipped) -> Skipped:
        """Count a row that is left out. Raises ``BadSource`` if that is more than a tenth, and more than ten."""
        self._rows += 1
        self._skipped += 1
        self._last = one
        if self._skipped > SKIPPED_MIN and self._skipped > self._rows * SKIPPED_SHARE:
            raise self._fault(one)
        return one

    def finish(self) -> None:
        """At the end of the file: raises ``BadSource`` if more than half of its rows are left out."""
        if self._last is not None and self._skipped * 2 > self._rows:
            raise self._fault(self._last)

    def _fault(self, last: Skipped) -> BadSource:
        what, _, position = last.detail.rpartition(" (")
        count = f"{self._skipped:,} of {self._rows:,} rows"
        fault = f"{count} cannot be used, the last one because: {what}. {self._advice}"
        return BadSource(self._path, fault, position.rstrip(")") or None)


def skip(reason: str, fault: str, position: str) -> Skipped:
    """A row that is left out, with its position in the file."""
    return Skipped(reason, f"{fault} ({position})")
