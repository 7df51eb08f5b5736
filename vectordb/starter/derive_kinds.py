"""Derives from WordNet 3.0 what the starter's nouns imply: ``python -m vectordb.starter.derive_kinds FOLDER``.

Writes ``kinds.txt``, one line for each line of ``nouns.tsv``: the familiar nouns above the noun in this sense,
nearest first, and its head noun if it is one of its words or of those above it. ``?`` after a noun: the noun of the
line does not imply it in all its usual senses; ``?`` at the start of a line: nor the broader noun of ``nouns.tsv``. A
sense is usual if it occurs at least a third as often in WordNet's tagged corpus as the most frequent one; without
counts all are.

Writes ``misleading.txt``: compounds whose last word is not what they are, as a hot dog is no dog, if it implies
anything.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

from vectordb.starter.derive import Deriver
from vectordb.starter.familiar import AMBIGUOUS, FAMILIAR
from vectordb.starter.wordnet import (
    ANIMAL,
    ARTIFACT,
    BODY,
    FOOD,
    OBJECT,
    PERSON,
    PHENOMENON,
    PLACE,
    PLANT,
    SUBSTANCE,
    TOPS,
    Nouns,
)

UNSURE = "?"
# plant, animal, person and food are in TOPS themselves, what is below them is not
_CONCRETE = {TOPS, ANIMAL, ARTIFACT, BODY, FOOD, OBJECT, PERSON, PHENOMENON, PLACE, PLANT, SUBSTANCE}
_OFTEN = 3  # a sense counts if it is at least 1/3 as frequent as the most frequent one


class Kinds:
    """What nouns imply; holds the tables, resolved to offsets."""

    def __init__(self, nouns: Nouns) -> None:
        """Raises ``KeyError`` or ``IndexError`` for table entries that this WordNet does not have."""
        self._nouns = nouns
        self._deriver = Deriver(nouns)
        self._familiar: dict[int, str] = {}
        for name in FAMILIAR:
            word, _, number = name.partition(".")
            self._familiar[nouns.sense(f"{word}.{number or 1}")] = word.replace("_", " ")

    def lines(self) -> list[str]:
        """The lines of ``kinds.txt``."""
        found: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for noun, broader, offset in self._deriver.meanings():
            found[noun, broader].append(offset)
        return [self._line(*pair, found[pair]) for pair in sorted(found, key="\t".join)]

    def misleading(self) -> list[str]:
        """The lines of ``misleading.txt``."""
        listed = {noun.lower() for noun, _, _ in self._deriver.meanings()}
        compounds = {word.lower() for synset in self._nouns.synsets.values() for word in synset.words if "_" in word}
        return sorted(
            name
            for word in compounds
            if (name := word.replace("_", " ")) not in listed and self._leads_astray(word, name.split()[-1])
        )

    def _leads_astray(self, word: str, head: str) -> bool:
        meant = {offset for offset, name in self._familiar.items() if name == head}
        return bool(meant) and not any(meant & self._nouns.ancestors(offset) for offset in self._nouns.senses(word))

    def _line(self, noun: str, broader: str, offsets: list[int]) -> str:
        usual = [] if noun in AMBIGUOUS else self._usual(noun)
        sure = set.intersection(*(set(self._implied(noun, one)) for one in usual)) if usual else set()
        all_senses = set.intersection(*(set(self._implied(noun, one)) for one in offsets))
        shown = [one for one in self._implied(noun, offsets[0]) if one in all_senses]
        same = bool(usual) and all(self._deriver.broader(self._nouns.synsets[one]) == broader for one in usual)
        return ("" if same else UNSURE) + ",".join(one if one in sure else one + UNSURE for one in shown)

    def _usual(self, noun: str) -> list[int]:
        word = noun.replace(" ", "_")
        senses = [
            offset
            for offset in self._nouns.senses(word)
            if self._nouns.synsets[offset].category in _CONCRETE and not self._nouns.synsets[offset].is_instance
        ]
        counts = [self._nouns.count(word, offset) for offset in senses]
        top = max(counts, default=0)
        return [offset for offset, count in zip(senses, counts, strict=True) if count * _OFTEN >= top]

    def _implied(self, noun: str, offset: int) -> list[str]:
        """The familiar nouns of a sense, nearest first, and its head."""
        above = sorted(
            (one for one in self._nouns.ancestors(offset) if one in self._familiar),
            key=lambda one: (-len(self._nouns.ancestors(one)), self._familiar[one]),
        )
        *before, head = noun.lower().split()
        found = dict.fromkeys(self._familiar[one] for one in above)
        if before and head.isalpha() and head in self._words_above(offset):
            found = {head: None, **found}
        found.pop(noun.lower(), None)
        if "vehicle" in found:  # WordNet's wheeled vehicles are containers
            found.pop("container", None)
        return list(found)

    def _words_above(self, offset: int) -> set[str]:
        return {
            word.replace("_", " ").lower()
            for one in self._nouns.ancestors(offset)
            for word in self._nouns.synsets[one].words
        }


if __name__ == "__main__":
    kinds = Kinds(Nouns(Path(sys.argv[1])))
    folder = Path(__file__).parent
    (folder / "kinds.txt").write_text("".join(f"{line}\n" for line in kinds.lines()), encoding="utf-8")
    (folder / "misleading.txt").write_text("".join(f"{line}\n" for line in kinds.misleading()), encoding="utf-8")
