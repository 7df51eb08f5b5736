"""Ranking: one image's candidates in the order of their scores, synonyms together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.messages import Candidate, Floats

DIGITS = 6  # of a score; what is beyond them is no reason to order two tags


@dataclass(frozen=True, slots=True)
class Ranked:
    """A tag to be. ``members``: positions of its candidates; the first gives the name, the best the scores."""

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
    """The best ``limit`` of the candidates, best first; equal scores in the order of their labels.

    With ``vectors`` (c, d), a candidate whose cosine to a better one is above ``synonym_similarity`` goes into
    that one's tag and leaves its score as it is: sums would put the largest family of words first, not the best.
    The tag is named by its best candidate, or by the noun of that one ("fox" of "red fox") where the noun is in the
    tag, too, and closer to it than ``head_similarity``: then what stands before the noun tells little.
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
    """The members with the one in front that names them; the best is in front now."""
    best = members[0]
    for other in members[1:]:
        is_head = candidates[best].label.endswith(f" {candidates[other].label}")
        if is_head and vectors[best] @ vectors[other] > threshold:
            return (other, *[at for at in members if at != other])
    return members


def _together(order: Sequence[int], vectors: Floats, threshold: float) -> list[tuple[int, ...]]:
    """Greedily, from the best: each candidate not yet taken takes those that are close to it."""
    close = vectors @ vectors.T > threshold
    close[range(len(order)), range(len(order))] = True
    alone = close.sum(axis=1) == 1
    free = dict.fromkeys(order)  # in this order
    groups = []
    while free:
        at = next(iter(free))
        members = (at,) if alone[at] else (at, *[other for other in free if other != at and close[at, other]])
        for member in members:
            del free[member]
        groups.append(members)
    return groups
