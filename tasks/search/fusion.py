"""Fuses ranked lists by reciprocal ranks (Cormack et al., SIGIR 2009), and says why an image was found.

Ranks are fused, because cosines and sums of word weights have no common scale. The strength of a match by words
counts, too: half a query, or a tag that is not sure, is no reason to be first. Ties are ordered by id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from tasks.labels.index_form import index_form
from tasks.search.query import Query
from tasks.search.words import forms_of_text

CONSTANT = 60  # of the paper: how little the first ranks of a list differ
DEPTH = 200  # images that each list contributes


@dataclass(frozen=True)
class RankedList:
    """Ids, best first, each once. ``scores``: what the list is ordered by; images of equal score share a rank.

    ``graded``: the scores are strengths from 0 to 1, and a weak match counts less. For sums of word weights, not for
    cosines.
    """

    ids: Sequence[int]
    scores: Sequence[float]
    graded: bool = False


@dataclass(frozen=True)
class Fused:
    """``score``: the sum of strength / (``CONSTANT`` + rank) over the lists that have the image; larger is better."""

    id: int
    score: float


@dataclass(frozen=True)
class Reason:
    """Why an image was found.

    ``similarity``: the cosine of the image's vector and the query's search vector, ``None`` if it is not known.
    ``tags``: the labels of its tags that the query names, or that imply what it names, the best match first.
    ``metadata``: what its owner wrote and the query names, as ``title: Sunset in Paris``, the best match first.
    ``words``: other words of the query that it has, from its name, as index forms.
    """

    similarity: float | None
    tags: tuple[str, ...]
    words: tuple[str, ...]
    metadata: tuple[str, ...] = ()


def fused(lists: Sequence[RankedList], limit: int) -> list[Fused]:
    """The ``limit`` best images of all lists, best first; equal scores are ordered by id."""
    scores: dict[int, float] = {}
    for one in lists:
        for oid, score, rank in zip(one.ids, one.scores, _ranks(one.scores), strict=True):
            strength = min(1.0, max(0.0, score)) if one.graded else 1.0
            scores[oid] = scores.get(oid, 0.0) + strength / (CONSTANT + rank)
    ordered = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return [Fused(oid, score) for oid, score in ordered[:limit]]


def reason(
    query: Query,
    similarity: float | None,
    tags: Mapping[str, Sequence[str]],
    words: Mapping[str, float],
    metadata: Sequence[tuple[str, str]] = (),
) -> Reason:
    """Why an image with these tags and words was found.

    ``tags``: label → the index forms that it implies. ``words``: all forms the image is found by, with weights.
    ``metadata``: names and texts that its owner wrote.
    """
    weights = {**query.words, **dict.fromkeys(query.required, 1.0)}
    explained: set[str] = set()

    def naming(forms_by_name: Mapping[str, AbstractSet[str]]) -> tuple[str, ...]:
        named: dict[str, float] = {}
        for name, has in forms_by_name.items():
            if forms := has & weights.keys():
                named[name] = max(weights[form] for form in forms)
                explained.update(forms)
        return tuple(sorted(named, key=lambda name: -named[name]))

    by_tag = naming({label: {index_form(label), *broader} for label, broader in tags.items()})
    by_text = naming({f"{name}: {text}": forms_of_text(text) & words.keys() for name, text in metadata})
    others = [form for form in weights if form in words and form not in explained]
    others.sort(key=lambda form: -weights[form])
    return Reason(similarity, by_tag, tuple(others), by_text)


def _ranks(scores: Sequence[float]) -> list[int]:
    """1 for the best; equal scores have the rank of the first of them."""
    ranks: list[int] = []
    for place, score in enumerate(scores):
        ranks.append(ranks[-1] if place and score == scores[place - 1] else place + 1)
    return ranks
