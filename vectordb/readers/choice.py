"""The choice of the caption column, by the names and the values of all columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vectordb.readers.content import CAPTIONS, EMPTY, example, is_prose, kind_of, words
from vectordb.readers.listed import NotListed, are_written_lists, texts_of, written_list
from vectordb.readers.names import CAPTION_NAMES, numbered_captions
from vectordb.readers.rows import BAD_LIST, BadSource, Skipped, name_of, skip

_SHOWN = 40  # columns in a message
LISTS = "lists of captions"


@dataclass(frozen=True)
class Column:
    """A column with some of its values. ``written``: they are lists that were written as text."""

    name: str
    kind: str
    texts: Sequence[str]
    written: bool = False

    @property
    def usable(self) -> bool:
        """Whether it may hold captions."""
        return self.kind in {CAPTIONS, LISTS}

    def __str__(self) -> str:
        what = f", such as {shown!r}" if (shown := example(self.texts)) else ""
        return f"{self.name}: {self.kind}{what}"


class ChooseColumn(BadSource):
    """The caption column is in doubt. ``columns``: all there are, each with its kind and an example."""

    def __init__(self, path: Path, columns: Sequence[tuple[str, str]], why: str, position: str | None = None) -> None:
        """``columns``: names, and lines that describe them. ``why``: the fault, without the columns."""
        names = ", ".join(name for name, _ in columns[:_SHOWN]) or "none"
        listed = "".join(f"\n  {line}" for _, line in columns[:_SHOWN])
        more = f"\n  and {len(columns) - _SHOWN} more" if len(columns) > _SHOWN else ""
        how = f" (--column):{listed}{more}" if columns else ""
        super().__init__(path, f"{why}: {names}{how}", position)
        self.columns = tuple(columns)
        self.why = why

    def __reduce__(self) -> tuple[type[ChooseColumn], tuple[object, ...]]:
        return type(self), (self.path, self.columns, self.why, self.position)


def column_of(name: str, values: Iterable[object]) -> Column:
    """A column of decoded values: texts, numbers, lists, objects."""
    texts: list[str] = []
    plain: list[str] = []
    others = lists = 0
    for value in values:
        if isinstance(value, str):
            plain.append(value)
        elif isinstance(value, bool | int | float):
            plain.append(str(value))
        elif value is not None:
            try:
                texts += texts_of(value)
                lists += 1
            except NotListed:
                others += 1
    if others > lists + len(plain):
        return Column(name, "structures", ())
    if lists:
        kind = kind_of(texts)
        return Column(name, LISTS if kind == CAPTIONS and _are_sentences(texts) else f"lists of {kind}", texts)
    if are_written_lists(plain):
        inner = [text for value in plain for text in written_list(value) or ()]
        kind = kind_of(inner)
        found = LISTS if kind == CAPTIONS and _are_sentences(inner) else f"lists of {kind}"
        return Column(name, found, inner, written=True)
    return Column(name, kind_of(plain, name), plain)


def choose(
    path: Path, columns: Sequence[Column], wanted: str | None, position: str | None = None, noun: str = "column"
) -> tuple[list[int], str | None]:
    """The positions of the caption columns, and a note for users if there is a doubt.

    The requested one, by its name or its number from 1. Otherwise, of the columns that hold captions by their values:
    the first of ``CAPTION_NAMES``, or several with numbers (``caption_1``, ``caption_2``), or the only one. Raises
    ``ChooseColumn``.
    """
    names = [column.name for column in columns]
    if wanted is not None:
        return _wanted(path, columns, wanted, position, noun)
    lowered = [name.strip().lower() for name in names]
    usable = [at for at, column in enumerate(columns) if column.usable]
    for name in CAPTION_NAMES:
        if name in lowered and columns[at := lowered.index(name)].usable:
            return [at], None
    if several := [at for at in map(names.index, numbered_captions(names)) if columns[at].usable]:
        return several, None
    lists = [at for at in usable if columns[at].kind == LISTS]
    if len(usable) == 1 or len(lists) == 1:
        return (usable if len(usable) == 1 else lists), None
    prose = [at for at in usable if is_prose(columns[at].texts)]
    if len(prose) == 1 and all(words(columns[at].texts) < 1.5 for at in usable if at not in prose):
        return prose, None
    empty = [at for name in CAPTION_NAMES if name in lowered and columns[at := lowered.index(name)].kind == EMPTY]
    if empty and not usable:
        return empty[:1], None
    which = f"{len(usable)} may hold captions" if usable else "none holds captions, by their values"
    why = f"the caption {noun} cannot be determined ({which}); choose one of"
    raise ChooseColumn(path, described(columns), why, position)


def described(columns: Sequence[Column]) -> list[tuple[str, str]]:
    """The columns' names, each with a line that describes it."""
    return [(column.name, str(column)) for column in columns]


def texts_in(value: str, position: str, *, written: bool) -> Iterable[str | Skipped]:
    """The captions in a field: itself, or those of the list that is written in it."""
    if not written:
        return (value,)
    found = written_list(value)
    if found is None:
        return (skip(BAD_LIST, f"this is not a list of captions: {example([value])}", position),)
    return found or ("",)


def _wanted(
    path: Path, columns: Sequence[Column], wanted: str, position: str | None, noun: str
) -> tuple[list[int], str | None]:
    names = [column.name for column in columns]
    lowered = [name.strip().lower() for name in names]
    if wanted in names:
        at = names.index(wanted)
    elif lowered.count(wanted.strip().lower()) == 1:
        at = lowered.index(wanted.strip().lower())
    elif wanted.isdecimal() and 0 < int(wanted) <= len(names):
        at = int(wanted) - 1
    else:
        raise ChooseColumn(path, described(columns), f"there is no {noun} {wanted!r}; the {noun}s are", position)
    kind = columns[at].kind
    doubt = None if columns[at].usable or kind == EMPTY else kind
    return [at], doubt and f"{name_of(path)}: the column {names[at]!r} holds {doubt}, by its values"


def _are_sentences(texts: Sequence[str]) -> bool:
    """Whether texts in lists are captions and not tokens or tags: lists of single words are neither."""
    return words(texts) >= 1.3
