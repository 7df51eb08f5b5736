"""Profile ``paper``: single words, selected by the reference implementation's filters in its order.

The only difference is the part-of-speech tagger: spaCy's small English model replaces flair's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from tasks.cache import Cache, decoded
from tasks.extraction.filters import FREQUENCY, apply, singular
from tasks.extraction.language import MODEL_VERSION, English
from tasks.message_parts import Candidate, Hit

# Penn Treebank: nouns, adjectives, present and past participles
KEPT_TAGS = frozenset({"NN", "NNS", "NNP", "NNPS", "JJ", "JJR", "JJS", "VBG", "VBN"})

_PREFIX = f"paper/1/{MODEL_VERSION}/"


class PaperWords:
    """The reference implementation's vocabulary transform.

    As in the reference, the tagger receives the remaining words of all captions as one row. So this row, and not a
    caption, is cached.
    """

    def __init__(self) -> None:
        self._english = English(exclude=["parser", "attribute_ruler", "lemmatizer", "ner"])

    def warm(self) -> None:
        """Load the tagger and the plural rules."""
        self._english.load()
        singular("plurals")

    def candidates(self, retrieved: Sequence[Sequence[Hit]], cache: Cache) -> list[tuple[Candidate, ...]]:
        """The words of each object, in the order of their first appearance."""
        rows = [words_of([hit.caption for hit in hits]) for hits in retrieved]
        kept = self._content_words(rows, cache)
        return [_with_evidence(words, hits) for words, hits in zip(kept, retrieved, strict=True)]

    def _content_words(self, rows: Sequence[Sequence[str]], cache: Cache) -> list[list[str]]:
        """The nouns, adjectives and participles of each row, without repetitions."""
        keys = [_PREFIX + hashlib.blake2b(" ".join(row).encode(), digest_size=16).hexdigest() for row in rows]
        known = [decoded(value, list[str]) for value in cache.get_many(keys)]
        missing = {key: row for key, row, words in zip(keys, rows, known, strict=True) if words is None}
        documents = self._english.tag(list(missing.values()))
        tagged = {
            key: list(dict.fromkeys(token.text for token in document if token.tag_ in KEPT_TAGS))
            for key, document in zip(missing, documents, strict=True)
        }
        if tagged:
            cache.set_many({key: msgspec.msgpack.encode(words) for key, words in tagged.items()})
        return [tagged[key] if words is None else words for key, words in zip(keys, known, strict=True)]


def words_of(captions: Sequence[str]) -> list[str]:
    """The words of one image's captions after all filters except the tagger, with repetitions."""
    return FREQUENCY(apply(" ".join(captions))).split()


def _with_evidence(words: Sequence[str], hits: Sequence[Hit]) -> tuple[Candidate, ...]:
    captions = [frozenset(apply(hit.caption).split()) for hit in hits]
    return tuple(
        Candidate(word, tuple(position for position, caption in enumerate(captions) if word in caption))
        for word in words
    )
