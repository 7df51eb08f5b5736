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
    """A tag to be. ``members``: positions of its candidates; the first gives the name."""

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
    share: bool = True,
    limit: int | None = None,
) -> list[Ranked]:
    """The best ``limit`` of the candidates, best first; equal scores in the order of their labels.

    With ``vectors`` (c, d), a candidate whose cosine to a better one is above ``synonym_similarity`` goes into
    that one's tag. Where the probabilities share one mass (``share``, softmax) the tag has the sum of its
    members'; where each stands for itself (sigmoid) it has its best member's.
    """
    scores = (alpha * by_image + (1 - alpha) * by_text).round(DIGITS).tolist()
    order = sorted(range(len(candidates)), key=lambda at: (-scores[at], candidates[at].label))
    groups = [(at,) for at in order[:limit]] if vectors is None else _together(order, vectors, synonym_similarity)
    ranked = []
    for members in groups:
        counted = members if share else members[:1]
        image = float(sum(by_image[at] for at in counted))
        text = float(sum(by_text[at] for at in counted))
        total = round(alpha * image + (1 - alpha) * text, DIGITS)
        ranked.append(Ranked(total, round(image, DIGITS), round(text, DIGITS), members))
    if any(len(members) > 1 for members in groups):
        ranked.sort(key=lambda one: (-one.score, candidates[one.members[0]].label))
    return ranked[:limit]


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
