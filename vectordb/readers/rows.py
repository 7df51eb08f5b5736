"""The common parts of all readers: ``Rows``, ``BadSource``, and the choice of a column."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
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

_FEW = 64  # texts between two looks at their length

# receives the number of bytes consumed so far
OnProgress = Callable[[int], None]

# frequent names of the caption column, most likely first; case-insensitive
CAPTION_NAMES = ("caption", "text", "title", "alt_text", "alt-text", "alttext", "alt", "description", "sentence")


@dataclass(frozen=True, slots=True)
class Rows:
    """A piece of a source: at most 1,024 texts in order, and their vectors if the source has some.

    A row without a caption (null, an empty line) is an empty text, so that rows can be counted. ``vectors`` is (n, d)
    float32, as stored: neither normalised nor checked.
    """

    texts: Sequence[str]
    vectors: Floats | None = None


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
        name = "standard input" if is_stdin(self.path) else str(self.path)
        return f"{name}, {self.position}: {self.fault}" if self.position else f"{name}: {self.fault}"


def is_stdin(path: Path) -> bool:
    """Whether a path means standard input, ``-``."""
    return str(path) == "-"


def packed(texts: Iterable[str]) -> Iterator[Rows]:
    """Texts in full pieces; the last may be smaller. Yields all texts before a ``BadSource`` is raised."""
    source = iter(texts)
    while True:
        piece: list[str] = []
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
                length += sum(map(len, piece[taken:]))
        except BadSource as exc:
            fault = exc
        if piece:
            yield Rows(piece)
        if fault is not None:
            raise fault
        if len(piece) == taken:
            return


def caption_column(
    path: Path, names: Sequence[str], wanted: str | None, textual: Collection[str] = (), position: str | None = None
) -> str:
    """The column that holds the captions.

    The requested one, by its name or its number from 1; otherwise the first of ``CAPTION_NAMES``; otherwise the only
    column in ``textual``. Raises ``BadSource`` with the existing columns.
    """
    there = ", ".join(names) or "none"
    if wanted is not None:
        if wanted in names:
            return wanted
        if wanted.isdecimal() and 0 < int(wanted) <= len(names):
            return names[int(wanted) - 1]
        raise BadSource(path, f"there is no column {wanted!r}; the columns are: {there}", position)
    lowered = {name.lower(): name for name in reversed(names)}
    for name in CAPTION_NAMES:
        if name in lowered:
            return lowered[name]
    if len(textual) == 1:
        return next(iter(textual))
    raise BadSource(path, f"the caption column cannot be determined; choose one of: {there}", position)


def looks_like_address(value: str) -> bool:
    """Whether a field holds a URL, as most lists of captioned images have in one column."""
    return value.startswith(("http://", "https://", "//", "ftp://", "s3://", "data:"))
