"""Reads WordNet 3.0's noun files: synsets, hypernyms, and the frequency of senses.

Reads only words, pointers and counts, not the glosses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# WordNet's lexicographer files, which group its synsets
TOPS, ACT, ANIMAL, ARTIFACT, BODY, COMMUNICATION, EVENT, FOOD, GROUP = 3, 4, 5, 6, 8, 10, 11, 13, 14
PLACE, OBJECT, PERSON, PHENOMENON, PLANT, SUBSTANCE = 15, 17, 18, 19, 20, 27


@dataclass(frozen=True)
class Synset:
    """One synset. ``category`` is its lexicographer file; ``words`` are sorted by frequency, with ``_`` for spaces.

    ``broader`` are the offsets of its hypernyms (none for an instance such as Mont Blanc); ``usage`` are the usage
    domains: pairs of a position in ``words``, or None for all of them, and the domain's offset.
    """

    offset: int
    category: int
    words: tuple[str, ...]
    broader: tuple[int, ...]
    usage: tuple[tuple[int | None, int], ...]
    is_instance: bool


def parse(line: str) -> Synset:
    """Parse a line of ``data.noun``: offset, category, type, words with their ids, pointers, then the gloss.

    Raises ``ValueError`` or ``IndexError``, also for numbers of words or pointers that are not there.
    """
    fields = line.partition("|")[0].split()
    end = 4 + 2 * int(fields[3], 16)
    after = end + 1 + 4 * int(fields[end])
    if not 4 < end < after <= len(fields):
        raise ValueError("it counts words or pointers that are not there")
    pointers = [fields[i : i + 4] for i in range(end + 1, after, 4)]
    usage = [
        (int(ends[:2], 16) - 1 if ends[:2] != "00" else None, int(target))
        for sign, target, _, ends in pointers
        if sign == ";u"
    ]
    return Synset(
        offset=int(fields[0]),
        category=int(fields[1]),
        words=tuple(fields[4:end:2]),
        broader=tuple(int(target) for sign, target, _, _ in pointers if sign == "@"),
        usage=tuple(usage),
        is_instance=any(sign == "@i" for sign, *_ in pointers),
    )


def _entries(path: Path) -> Iterator[str]:
    """A file's lines without the licence at its top, whose lines begin with a space."""
    with path.open(encoding="ascii") as file:
        yield from (line for line in file if not line.startswith(" "))


class Nouns:
    """All nouns of one WordNet folder."""

    def __init__(self, folder: Path) -> None:
        """Reads ``data.noun``, ``index.noun`` and ``cntlist.rev``; takes one or two seconds."""
        self.synsets = {synset.offset: synset for synset in map(parse, _entries(folder / "data.noun"))}
        self._senses = {
            fields[0]: tuple(map(int, fields[-int(fields[2]) :]))
            for fields in map(str.split, _entries(folder / "index.noun"))
        }
        self._counts: dict[tuple[str, int], int] = {}
        for key, sense, count in map(str.split, _entries(folder / "cntlist.rev")):
            word, _, rest = key.partition("%")
            if rest.startswith("1:"):  # 1 means noun
                self._counts[word, int(sense)] = int(count)
        self.ancestors = cache(self._ancestors)

    def sense(self, name: str) -> int:
        """The offset of ``word.N``, the N-th sense of a word, as ``dictionary.1``."""
        word, _, number = name.rpartition(".")
        return self._senses[word][int(number) - 1]

    def senses(self, word: str) -> tuple[int, ...]:
        """Offsets of all the senses of a word, most common first."""
        return self._senses[word.lower()]

    def count(self, word: str, offset: int) -> int:
        """How often a word has this sense in WordNet's tagged corpus; mostly 0."""
        return self._counts.get((word.lower(), self.senses(word).index(offset) + 1), 0)

    def _ancestors(self, offset: int) -> frozenset[int]:
        """The offsets of a synset and of all its hypernyms, over all paths."""
        return frozenset({offset}).union(*(self.ancestors(up) for up in self.synsets[offset].broader))
