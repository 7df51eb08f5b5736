"""Ranking: sorts one image's candidates by score and merges synonyms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.message_parts import Candidate, Floats

DIGITS = 6  # decimals of a score that count for the order


@dataclass(frozen=True, slots=True)
class Ranked:
    """A ranked tag. ``members``: positions of its candidates; the first gives the name, the best the scores."""

    score: float
    image_score: float
    text_score: float
    members: tuple[int, ...]


def rank(
    candidates: Sequence[Candidate],
    by_image: NDArray[np.float64],
    by_text: NDArray[np.float64],
    *,
    alpha: float,
    vectors: Floats | None = None,
    synonym_similarity: float = 1.0,
    head_similarity: float = 1.0,
    limit: int | None = None,
) -> list[Ranked]:
    """The best ``limit`` candidates, best first; equal scores are ordered by label.

    With ``vectors`` (c, d), a candidate whose cosine to a better one is above ``synonym_similarity`` joins that one's
    tag and does not change its score: a sum would favour the largest group of words, not the best. The tag is named
    by its best candidate, or by the noun of that one ("fox" of "red fox") if the noun is in the tag, too, and more
    similar to it than ``head_similarity``: then the modifiers add little.
    """
    scores = (alpha * by_image + (1 - alpha) * by_text).round(DIGITS).tolist()
    order = sorted(range(len(candidates)), key=lambda at: (-scores[at], candidates[at].label))
    groups = [(at,) for at in order[:limit]] if vectors is None else _together(order, vectors, synonym_similarity)
    ranked = []
    for members in groups[:limit]:
        best = members[0]
        image, text = (round(float(scores_[best]), DIGITS) for scores_ in (by_image, by_text))
        named = members if vectors is None else _named(members, candidates, vectors, head_similarity)
        ranked.append(Ranked(scores[best], image, text, named))
    return ranked


def _named(
    members: tuple[int, ...], candidates: Sequence[Candidate], vectors: Floats, threshold: float
) -> tuple[int, ...]:
    """The members with the naming one in front; initially the best is in front."""
    best = members[0]
    for other in members[1:]:
        is_head = candidates[best].label.endswith(f" {candidates[other].label}")
        if is_head and vectors[best] @ vectors[other] > threshold:
            return (other, *[at for at in members if at != other])
    return members


def _together(order: Sequence[int], vectors: Floats, threshold: float) -> list[tuple[int, ...]]:
    """Greedy grouping from the best: each remaining candidate takes those that are similar to it."""
    close = vectors @ vectors.T > threshold
    close[range(len(order)), range(len(order))] = True
    alone = close.sum(axis=1) == 1
    free = dict.fromkeys(order)  # preserves the order
    groups = []
    while free:
        at = next(iter(free))
        members = (at,) if alone[at] else (at, *[other for other in free if other != at and close[at, other]])
        for member in members:
            del free[member]
        groups.append(members)
    return groups
