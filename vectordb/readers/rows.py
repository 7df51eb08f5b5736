"""What every reader gives and how it says what is wrong: ``Rows``, ``BadSource``, and the choice of a column."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from vectordb.errors import Permanent
from vectordb.index import Floats

# captions in one piece: large enough to make calls cheap, small enough to hold 1,024 vectors without a thought
PIECE = 1024
# bytes of one line, one member of an archive, one string of JSON: more is no caption, and is not held in memory
LONGEST = 1 << 20

# is told how many bytes have been consumed so far
Tell = Callable[[int], None]

# what people call the column with the captions, the likeliest first; compared without regard to case
CAPTION_NAMES = ("caption", "text", "title", "alt_text", "alt-text", "alttext", "alt", "description", "sentence")


@dataclass(frozen=True, slots=True)
class Rows:
    """A piece of a source, in its order: texts as they stand in the file, and their vectors where it has them.

    At most 1,024. A row without a caption (null, an empty line) is an empty text, so that rows can be counted.
    ``vectors`` is (n, d) float32, as stored: neither normalised nor checked.
    """

    texts: Sequence[str]
    vectors: Floats | None = None


class BadSource(Permanent):
    """A source that cannot be read, or not any further: which file, where in it, and what is wrong.

    ``position`` is a line, row, member or byte, counted from 1 except for bytes; None for the file as a whole.
    """

    def __init__(self, path: Path, fault: str, position: str | None = None) -> None:
        """``fault`` is a clause that follows the place, and says what to do where there is something to do."""
        super().__init__(path, fault, position)
        self.path = path
        self.fault = fault
        self.position = position

    def __str__(self) -> str:
        name = "standard input" if is_stdin(self.path) else str(self.path)
        return f"{name}, {self.position}: {self.fault}" if self.position else f"{name}: {self.fault}"


def is_stdin(path: Path) -> bool:
    """Whether a path is the name of standard input, ``-``."""
    return str(path) == "-"


def packed(texts: Iterable[str]) -> Iterator[Rows]:
    """Texts in full pieces, the last one excepted. What came before a ``BadSource`` is given before it is raised."""
    source = iter(texts)
    while True:
        piece: list[str] = []
        fault: BadSource | None = None
        try:
            piece.extend(islice(source, PIECE))  # unlike list(…), keeps what came before a fault
        except BadSource as exc:
            fault = exc
        if piece:
            yield Rows(piece)
        if fault is not None:
            raise fault
        if len(piece) < PIECE:
            return


def caption_column(
    path: Path, names: Sequence[str], wanted: str | None, textual: Collection[str] = (), position: str | None = None
) -> str:
    """Which of a file's columns holds the captions.

    The one that is wanted, by its name or its number from 1; else the first of ``CAPTION_NAMES``; else the only
    one of the columns in ``textual``. Raises ``BadSource`` with the columns that there are.
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
    raise BadSource(path, f"which column holds the captions? Choose one of: {there}", position)


def looks_like_address(value: str) -> bool:
    """Whether a field holds a URL, as one of the columns of most lists of captioned images does."""
    return value.startswith(("http://", "https://", "//", "ftp://", "s3://", "data:"))
