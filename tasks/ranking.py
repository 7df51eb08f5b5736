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
) -> list[Ranked]:
    """Best first; equal scores in the order of their labels.

    With ``vectors`` (c, d), a candidate whose cosine to a better one is above ``synonym_similarity`` goes into
    that one's tag. Where the probabilities share one mass (``share``, softmax) the tag has the sum of its
    members'; where each stands for itself (sigmoid) it has its best member's.
    """
    scores = (alpha * by_image + (1 - alpha) * by_text).round(DIGITS).tolist()
    order = sorted(range(len(candidates)), key=lambda at: (-scores[at], candidates[at].label))
    groups = [(at,) for at in order] if vectors is None else _together(order, vectors, synonym_similarity)
    ranked = []
    for members in groups:
        counted = members if share else members[:1]
        image = float(sum(by_image[at] for at in counted))
        text = float(sum(by_text[at] for at in counted))
        total = round(alpha * image + (1 - alpha) * text, DIGITS)
        ranked.append(Ranked(total, round(image, DIGITS), round(text, DIGITS), members))
    if any(len(members) > 1 for members in groups):
        ranked.sort(key=lambda one: (-one.score, candidates[one.members[0]].label))
    return ranked


def _together(order: Sequence[int], vectors: Floats, threshold: float) -> list[tuple[int, ...]]:
    """Greedily, from the best: each candidate not yet taken takes those that are close to it."""
    close = vectors @ vectors.T > threshold
    free = np.ones(len(order), dtype=bool)
    groups = []
    for at in order:
        if not free[at]:
            continue
        free[at] = False
        others = [other for other in order if close[at, other] and free[other]] if close[at].sum() > 1 else []
        free[others] = False
        groups.append((at, *others))
    return groups
