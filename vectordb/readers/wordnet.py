"""WordNet's nouns, from its file ``data.noun``: "cat, a kind of feline".

Every word of every synset gives a caption; a noun without a hypernym (entity, Mont Blanc) is used alone.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from vectordb.readers.rows import LONGEST, BadSource, OnProgress, Rows, packed
from vectordb.starter.captions import TEMPLATE
from vectordb.starter.wordnet import Synset, parse

DATA = "data.noun"


def read(path: Path, column: str | None, on_progress: OnProgress) -> Iterator[Rows]:
    """The captions of one ``data.noun``, in order."""
    if column is not None:
        raise BadSource(path, f"WordNet has no columns, so there is no {column!r}")
    return packed(_texts(path, on_progress))


def _texts(path: Path, on_progress: OnProgress) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as exc:  # the latter for an empty file
        raise BadSource(path, f"the file cannot be read: {exc}") from exc

    @lru_cache(maxsize=4096)
    def first_word(offset: int) -> str:
        """A synset is identified by the offset of its line."""
        return _read(parse(_line(data, offset).decode("ascii")).words[0])

    with data:
        at, number = 0, 0
        while at < len(data):
            line = _line(data, at)
            number += 1
            if len(line) > LONGEST:
                raise BadSource(path, f"it is longer than {LONGEST:,} bytes: this is no synset", f"line {number}")
            if not line.startswith(b" "):  # the lines of the licence begin with a space
                try:
                    synset = _synset(line, at)
                    broader = first_word(synset.broader[0]) if synset.broader else None
                except (ValueError, IndexError) as exc:
                    raise BadSource(path, f"this is not a WordNet synset: {exc}", f"line {number}") from exc
                for noun in map(_read, synset.words):
                    yield TEMPLATE.format(noun=noun, broader=broader) if broader else noun
            at += len(line)
            on_progress(at)


def _line(data: mmap.mmap, at: int) -> bytes:
    """The line at this byte, or so much of it that it is longer than allowed."""
    data.seek(at)
    return data.read(end - at + 1) if (end := data.find(b"\n", at, at + LONGEST)) >= 0 else data.read(LONGEST + 1)


def _synset(line: bytes, at: int) -> Synset:
    """The synset on the line at this byte. Raises ``ValueError`` or ``IndexError``."""
    if not line.endswith(b"\n"):
        raise ValueError("the file is truncated")
    synset = parse(line.decode("ascii"))
    if synset.offset != at:
        raise ValueError(f"the synset {synset.offset} begins at byte {at}")
    return synset


def _read(word: str) -> str:
    """A word in reading form."""
    return word.replace("_", " ")
