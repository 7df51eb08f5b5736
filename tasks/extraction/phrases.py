"""Profile ``phrases``: the nouns and noun phrases of the captions as written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from tasks.cache import Cache, decoded
from tasks.extraction.language import MODEL_VERSION, English
from tasks.extraction.parse import Phrase, clean, definition, noun_phrases
from tasks.extraction.vocabulary import singular_of, spelling
from tasks.message_parts import Candidate, Hit, Parsed

BY = f"phrases/3/{MODEL_VERSION}"  # increase the number when the results for a caption change


@dataclass(frozen=True)
class Phrases:
    """Parses each caption once.

    ``heads``: include the bare noun of a phrase ("pepper" of "bell pepper"). ``broader``: include the broader term of
    a definition ("sweet pepper" of "bell pepper, a kind of sweet pepper"). ``least``: minimum number of captions that
    support a label, ignored if no label reaches it. ``most``: maximum number of candidates per object, those with the
    most support; long captions would give more.
    """

    heads: bool = True
    broader: bool = True
    least: int = 1
    most: int = 128
    _english: English = field(default_factory=lambda: English(exclude=["ner"]), repr=False)

    def warm(self) -> None:
        """Load the parser."""
        self._english.load()

    def candidates(self, retrieved: Sequence[Sequence[Hit]], cache: Cache) -> list[tuple[Candidate, ...]]:
        """The labels of each object in the order of their first appearance; spelling variants are merged."""
        parses = self._parses({hit.id: hit for hits in retrieved for hit in hits}, cache)
        return [self._merge([parses[hit.id] for hit in hits]) for hits in retrieved]

    def parse(self, captions: Sequence[str]) -> list[Parsed]:
        """Parse captions at import time: the results are stored with them, so the stage need not parse them again."""
        parses = self._parse(dict(enumerate(captions)))
        return [Parsed(BY, tuple((p.label, p.head, p.broader) for p in parses[at])) for at in range(len(captions))]

    def labels_without_parser(self, captions: Iterable[Hit]) -> list[str]:
        """Every label that captions may lead to, each once. Those of captions that must be parsed are left out."""
        found: dict[str, None] = {}
        for hit in captions:
            stored = hit.parsed is not None and hit.parsed.by == BY
            phrases = map(Phrase._make, hit.parsed.phrases) if hit.parsed and stored else definition(hit.caption)
            found.update(dict.fromkeys(self._labels(phrases or ())))
        return list(found)

    def _parses(self, hits: Mapping[int, Hit], cache: Cache) -> dict[int, list[Phrase]]:
        """The phrases of each caption; captions without stored or cached results are parsed together."""
        parses = {
            number: [Phrase(*phrase) for phrase in hit.parsed.phrases]
            for number, hit in hits.items()
            if hit.parsed is not None and hit.parsed.by == BY
        }
        unknown = [number for number in hits if number not in parses]
        keys = [f"{BY}/{number:x}" for number in unknown]
        fresh: dict[str, int] = {}
        for number, key, value in zip(unknown, keys, cache.get_many(keys), strict=True):
            phrases = decoded(value, list[Phrase])
            if phrases is None:
                fresh[key] = number
            else:
                parses[number] = phrases
        if fresh:
            parses.update(self._parse({number: hits[number].caption for number in fresh.values()}))
            cache.set_many({key: msgspec.msgpack.encode(parses[number]) for key, number in fresh.items()})
        return parses

    def _parse(self, captions: Mapping[int, str]) -> dict[int, list[Phrase]]:
        parses = {}
        sentences = {}
        for number, caption in captions.items():
            sides = definition(caption)
            if sides is None:
                sentences[number] = clean(caption)
            else:
                parses[number] = sides
        documents = self._english.parse(list(sentences.values()))
        parses.update({number: noun_phrases(document) for number, document in zip(sentences, documents, strict=True)})
        return parses

    def _labels(self, phrases: Iterable[Phrase]) -> Iterator[str]:
        return (
            label for label, head, broader in phrases
            if (self.heads or not head) and (self.broader or not broader)
        )  # fmt: skip

    def _merge(self, captions: Sequence[Iterable[Phrase]]) -> tuple[Candidate, ...]:
        labels: dict[str, dict[int, None]] = {}
        for position, phrases in enumerate(captions):
            for label in self._labels(phrases):
                labels.setdefault(label, {})[position] = None
        merged = _merge_spellings(labels)
        least = min(self.least, max((len(evidence) for evidence in merged.values()), default=0))
        kept = [Candidate(label, tuple(at)) for label, at in merged.items() if len(at) >= least]
        if len(kept) > self.most:
            kept = sorted(kept, key=lambda candidate: -len(candidate.evidence))[: self.most]
        return tuple(kept)


def _merge_spellings(labels: Mapping[str, Mapping[int, None]]) -> dict[str, list[int]]:
    """Merge labels that differ by hyphens, spaces or a plural, under the most frequent spelling."""
    spellings = {label: spelling(label) for label in labels}
    known = frozenset(spellings.values())
    groups: dict[str, list[str]] = {}
    for label, key in spellings.items():
        groups.setdefault(singular_of(key, known), []).append(label)
    merged = {}
    for group in groups.values():
        if len(group) == 1:
            merged[group[0]] = list(labels[group[0]])
        else:
            best = max(group, key=lambda label: len(labels[label]))
            merged[best] = sorted({position for label in group for position in labels[label]})
    return merged
