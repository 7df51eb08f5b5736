"""Measures search by words: mean average precision over the labels of a labelled set.

Each distinct label is a query, and the images that have it among their labels are right. The labels name the main
subject and a few companions, so an image without the label may still show the thing: the figures are lower bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tasks.calibration import interval
from tasks.evaluation.manifest import Item

Search = Callable[[str], Sequence[int]]
"""A query → positions of images in the set, best first, each once; images that were not found are left out."""


class FindingFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a search. Shares are means over the queries.

    ``average_precision``: the mean average precision, with its 95 % bootstrap ``interval`` over images: queries whose
    first right image is the same are drawn together. ``first_right``: queries whose first hit is right.
    ``recall_at_10``: the right images among the first ten hits.
    """

    name: str
    images: int
    queries: int
    average_precision: float
    interval: tuple[float, float]
    first_right: float
    recall_at_10: float


def queries_of(items: Sequence[Item]) -> dict[str, frozenset[int]]:
    """Label → positions of the images that have it, in alphabetical order."""
    found: dict[str, set[int]] = {}
    for at, item in enumerate(items):
        for label in item.labels:
            found.setdefault(label, set()).add(at)
    return {label: frozenset(found[label]) for label in sorted(found)}


def average_precision(hits: Sequence[int], right: frozenset[int]) -> float:
    """The mean of the precisions at the ranks of the right images; those that were not found count 0."""
    found = 0
    total = 0.0
    for rank, hit in enumerate(hits, 1):
        if hit in right:
            found += 1
            total += found / rank
    return total / len(right) if right else 0.0


def precisions(search: Search, queries: dict[str, frozenset[int]]) -> NDArray[np.float64]:
    """The average precision of each query, in their order."""
    return np.array([average_precision(search(label), right) for label, right in queries.items()])


def finding_figures(name: str, search: Search, items: Sequence[Item]) -> FindingFigures:
    """Search for every label of the set. Raises ``ValueError`` for a set without labels."""
    queries = queries_of(items)
    if not queries:
        raise ValueError("the set has no labels")
    hits = {label: search(label) for label in queries}
    found = precisions(hits.__getitem__, queries)
    images = np.array([min(right) for right in queries.values()])
    low, high = interval(images, lambda at: float(found[at].mean()))
    return FindingFigures(
        name=name,
        images=len(items),
        queries=len(queries),
        average_precision=round(float(found.mean()), 4),
        interval=(round(low, 4), round(high, 4)),
        first_right=_mean([bool(hits[label]) and hits[label][0] in right for label, right in queries.items()]),
        recall_at_10=_mean(
            [len(right.intersection(hits[label][:10])) / len(right) for label, right in queries.items()]
        ),
    )


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4)
