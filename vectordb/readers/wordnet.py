"""WordNet's nouns, from its file ``data.noun``: "cat, a kind of feline".

Every word of every synset gives a caption; a noun without a hypernym (entity, Mont Blanc) is used alone.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from vectordb.readers.rows import BadSource, OnProgress, Rows, packed
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
        data.seek(offset)
        return _read(parse(data.readline().decode("ascii")).words[0])

    with data:
        at, number = 0, 0
        while at < len(data):
            data.seek(at)
            line = data.readline()
            number += 1
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
