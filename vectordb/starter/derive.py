"""Derives the starter's nouns from WordNet 3.0: ``python -m vectordb.starter.derive /usr/share/wordnet``.

Prints ``noun<TAB>broader noun``, sorted, about 30,000 lines: concrete things that an image may show. It uses only
facts (this word is a kind of that), no glosses.

- **Which synsets**: the noun files of animals, artefacts, food, natural objects and plants, and the people, bodies,
  substances, weather, activities, places and groups listed in ``rules``. These are chosen by hand, people with care.
  Excluded are proper names (WordNet's instances) and the topmost synsets, which apply to everything.
- **Which words**: the most usual words of a synset; a word represents a rare sense only if that has no better name.
  Excluded are abbreviations, trade names, Latin names (``genus Felis``, ``Acer rubrum``), spelling variants of an
  included word, and offensive words: all that WordNet marks as slur, disparagement, obscenity or slang, and those of
  ``rules.OFFENSIVE``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from vectordb.starter import rules
from vectordb.starter.wordnet import ANIMAL, ARTIFACT, FOOD, OBJECT, PLANT, Nouns, Synset

_THINGS = {ANIMAL, ARTIFACT, FOOD, OBJECT, PLANT}
_LIVING = {ANIMAL, PLANT}
_KEEP_A_NAME = {ANIMAL, PLANT, FOOD}
# at most three words of letters, each of at least two letters except the T of a T-shirt; no abbreviations
_READABLE = re.compile(r"(?!.*[A-Z]{2})(?=.{2})[A-Za-z][a-z']*([ -][A-Za-z][a-z']*){0,3}")
# families, orders and similar that WordNet files under an animal instead of under its taxa
_TAXON = re.compile(r"[A-Z][a-z]+(idae|inae|iformes|aceae|ales|optera|oidea)")
_TRADE = ("trade_name.1", "trademark.2")
# maximum number of words per synset, and maximum rank of the sense among all senses of a word
_WORDS_A_MEANING = 2
_RANK = 4


class Deriver:
    """Selects synsets and words; holds only the tables, resolved to offsets."""

    def __init__(self, nouns: Nouns) -> None:
        """Raises ``KeyError`` or ``IndexError`` for table entries that this WordNet does not have."""
        self._nouns = nouns
        self._named = self._resolved()
        self._never = self._offsets(rules.NEVER)
        self._tops = self._offsets(rules.TOPS)
        self._trade = self._offsets(_TRADE)
        self._offensive = self._marked(self._offsets(rules.OFFENSIVE_USAGE)) - rules.HARMLESS | rules.OFFENSIVE
        taxa = self._offsets(["taxonomic_group.1"])
        self._latin = {
            word.removeprefix("genus_").partition("_")[0]
            for synset in nouns.synsets.values()
            if taxa & nouns.ancestors(synset.offset)
            for word in synset.words
            if word.removeprefix("genus_")[0].isupper()
        }

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every (noun, broader noun), unordered; a pair may occur twice."""
        return ((noun, broader) for noun, broader, _ in self.meanings())

    def meanings(self) -> Iterator[tuple[str, str, int]]:
        """The same, each with the offset of its synset."""
        for synset in self._nouns.synsets.values():
            if self.kept(synset):
                broader = self.broader(synset)
                for noun in self.words(synset):
                    if broader and broader.lower() != noun.lower():
                        yield noun, broader, synset.offset

    def kept(self, synset: Synset) -> bool:
        """Whether this synset can be shown by an image and is acceptable."""
        if synset.offset in self._named or synset.offset in self._tops:
            return True
        if synset.is_instance or synset.category not in _THINGS:
            return False
        drink = synset.category == FOOD  # wine is also a drug in WordNet
        return drink or not self._nouns.ancestors(synset.offset) & self._never

    def words(self, synset: Synset) -> list[str]:
        """The words of a synset in reading form, most usual first; none if all are excluded."""
        if synset.offset in self._named:
            return sorted(map(_read, self._named[synset.offset]))
        fit = [word for i, word in enumerate(synset.words) if self._fit(word, i, synset)]
        usual = [word for word in fit if self._usual(word, synset)]
        # a living thing with only rare names keeps one: it has no other name
        chosen = usual or (fit[:1] if synset.category in _KEEP_A_NAME else [])
        # of spelling variants the first is kept
        distinct = {re.sub("[ '-]", "", word).lower(): word for word in map(_read, reversed(chosen))}
        return list(reversed(distinct.values()))[:_WORDS_A_MEANING]

    def _fit(self, word: str, position: int, synset: Synset) -> bool:
        """Whether a word may be used at all."""
        reading = _read(word)
        if not _READABLE.fullmatch(reading) or not self._offensive.isdisjoint({word.lower(), *_tokens(reading)}):
            return False
        if any(where in (None, position) and domain in self._trade for where, domain in synset.usage):
            return False
        latin = word.partition("_")[0] in self._latin or _TAXON.fullmatch(word)
        return not (synset.category in _LIVING and latin)

    def _usual(self, word: str, synset: Synset) -> bool:
        """Whether this is a usual sense of the word."""
        if self._nouns.count(word, synset.offset):
            return True
        senses = self._nouns.senses(word)
        rank = senses.index(synset.offset)
        first = next(offset for offset in senses if self.kept(self._nouns.synsets[offset]))
        return rank == 0 or (rank < _RANK and first == synset.offset)

    def broader(self, synset: Synset) -> str | None:
        """The best word of the nearest hypernym that has one."""
        for up in synset.broader:
            above = self._nouns.synsets[up]
            for i, word in enumerate(above.words):
                if self._fit(word, i, above):
                    return _read(word)
        return next(filter(None, (self.broader(self._nouns.synsets[up]) for up in synset.broader)), None)

    def _marked(self, domains: frozenset[int]) -> frozenset[str]:
        """All words that WordNet marks with one of these usage domains."""
        return frozenset(
            word.lower()
            for synset in self._nouns.synsets.values()
            for position, domain in synset.usage
            if domain in domains
            for word in (synset.words if position is None else [synset.words[position]])
        )

    def _resolved(self) -> dict[int, set[str]]:
        """The offsets of ``rules.NAMED`` with their words."""
        found: dict[int, set[str]] = {}
        for category, names in rules.NAMED.items():
            for name in names:
                word, _, number = name.partition(".")
                senses = [self._nouns.sense(name)] if number else self._nouns.senses(word)
                meanings = (self._nouns.synsets[offset] for offset in senses)
                meaning = next(m for m in meanings if m.category == category and word in m.words)
                found.setdefault(meaning.offset, set()).add(word)
        return found

    def _offsets(self, names: Iterable[str]) -> frozenset[int]:
        return frozenset(map(self._nouns.sense, names))


def _read(word: str) -> str:
    """A word in reading form."""
    return word.replace("_", " ")


def _tokens(reading: str) -> list[str]:
    return re.split("[ '-]", reading.lower())


def lines(folder: Path) -> list[str]:
    """The lines of ``nouns.tsv``, sorted by code point."""
    return sorted({f"{noun}\t{broader}" for noun, broader in Deriver(Nouns(folder)).pairs()})


if __name__ == "__main__":
    sys.stdout.write("".join(f"{line}\n" for line in lines(Path(sys.argv[1]))))
