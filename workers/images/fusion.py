"""Fuses what was found by meaning with what was found by words."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tasks.labels.index_form import index_form
from vectordb.images import ImageEntry, ImageHits
from workers.images.ranked_lists import RankedHit

RANK = 60  # of reciprocal rank fusion: Cormack, Clarke and Büttcher, SIGIR 2009
_WORDS = re.compile(r"[^\W\d_]{2,}")


def query_words(query: str) -> dict[str, float]:
    """The index forms of a query and of its words, with weights."""
    words = {index_form(word): 1.0 for word in _WORDS.findall(query)}
    return {**words, index_form(query): 2.0} if query.strip() else {}


def fused(by_vector: ImageHits, by_words: ImageHits) -> list[RankedHit]:
    """Both lists as one, best first, by the sum of reciprocal ranks."""
    entries: dict[int, ImageEntry] = {}
    scores: dict[int, float] = {}
    for hits in (by_vector, by_words):
        for place, entry in enumerate(hits.entries, 1):
            entries[entry.id] = entry
            scores[entry.id] = scores.get(entry.id, 0.0) + 1 / (RANK + place)
    similarities: Mapping[int, float] = {
        entry.id: score for entry, score in zip(by_vector.entries, by_vector.scores, strict=True)
    }
    order = sorted(scores, key=lambda number: (-scores[number], number))
    return [
        RankedHit(entries[n].bucket, entries[n].key, entries[n].etag, scores[n], similarities.get(n)) for n in order
    ]
