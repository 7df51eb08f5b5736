"""The thresholds of nearness, unknown and evidence, from images of nothing and from the captions themselves.

How near a caption is to an image that shows nothing depends on the space (its cones, and the gap between images and
texts) and on the captions (how many, and which of them are near to everything). An image that shows something has a
caption that is nearer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.encoders.protocols import Floats
from tasks.thresholds.derived import Threshold
from tasks.vector_maths import unit
from vectordb.index import SAMPLE_LEAST

LEAST_IMAGES = 4  # of each kind
SHARE = 0.95  # of the images of nothing of a kind that are below the level of their kind
MOVED = 0.75  # share of the moved captions that must be above the threshold
PROBES = 256  # captions that are moved

Pages = Iterable[tuple[Sequence[int], Floats]]
"""Captions in the order of their ids, which are digests: ids, and unit vectors (n, d)."""


def nearness(nulls: Mapping[str, Floats], pages: Pages, limit: int) -> tuple[Threshold, Threshold]:
    """The thresholds for unknown and for evidence.

    ``nulls``: unit vectors (n, d) of images of nothing, by kind. ``limit``: captions retrieved for each image.

    *Unknown*: ``SHARE`` of the images of a kind have a best caption below the level of their kind; the median of the
    levels is the threshold. A median, because captions may describe one kind truly ("a page of text"). *Evidence*:
    the same over all captions retrieved for them.

    Both are off if there are too few captions, or if something looks like nothing: each of ``PROBES`` captions is
    moved by the gap between texts and images (its vector minus the mean of texts plus the mean of images), as if it
    were an image of what it says. ``MOVED`` of them must have another caption above the threshold.
    """
    few = {kind: len(vectors) for kind, vectors in nulls.items() if len(vectors) < LEAST_IMAGES}
    if few or not nulls:
        return _both(
            f"too few images of nothing have a vector: {few or 'none'}, {LEAST_IMAGES} are needed of each kind"
        )
    images = np.concatenate(list(nulls.values()))
    best = np.full((len(images), limit), -np.inf, np.float32)
    moved: Floats | None = None
    near = np.empty(0, np.float32)
    probes = np.empty(0, np.uint64)
    gap, total, count = 0.0, 0.0, 0
    for numbers, vectors in pages:
        ids = np.array(numbers, np.uint64)
        if moved is None:
            centre, middle = vectors.mean(axis=0), images.mean(axis=0)
            gap = float(np.linalg.norm(centre - middle))
            moved, probes = unit(vectors[:PROBES] - centre + middle), ids[:PROBES]
            near = np.full(len(moved), -np.inf, np.float32)
        similarities = images @ vectors.T
        best = _best(np.concatenate([best, similarities], axis=1), limit)
        near = np.maximum(near, _others(moved @ vectors.T, probes, ids))
        total += float(similarities.sum(dtype=np.float64))
        count += len(ids)
    if count < SAMPLE_LEAST:
        return _both(f"too few captions: {count:,}, at least {SAMPLE_LEAST} are needed")
    levels, ranks, start = {}, [], 0
    for kind, vectors in nulls.items():
        own = best[start : start + len(vectors)]
        start += len(vectors)
        levels[kind] = float(np.quantile(own[:, 0], SHARE))
        ranks.append(float(np.quantile(own, SHARE)))
    unknown, evidence = round(float(np.median(list(levels.values()))), 4), round(float(np.median(ranks)), 4)
    above = float((near > unknown).mean())
    numbers_of = {
        "captions": float(count), "images_of_nothing": float(len(images)), "moved_captions_above": round(above, 4),
        "mean_similarity": round(total / count / len(images), 4), "gap": round(gap, 4),
        **{kind.replace(" ", "_"): round(level, 4) for kind, level in levels.items()},
    }  # fmt: skip
    if above < MOVED:
        return _both(
            f"the space does not tell something from nothing: the level of nothing is {unknown:.3f}, and {above:.0%}"
            f" of the captions, moved to the images, are above it; {MOVED:.0%} are needed",
            numbers_of,
        )
    return Threshold(unknown, "", numbers_of), Threshold(evidence, "", {"captions_of_each": float(limit)})


def _both(reason: str, numbers: dict[str, float] | None = None) -> tuple[Threshold, Threshold]:
    return Threshold(None, reason, numbers or {}), Threshold(None, "there is no threshold for unknown either")


def _best(similarities: Floats, limit: int) -> Floats:
    """The ``limit`` largest of each row, largest first."""
    largest = np.partition(similarities, -limit, axis=1)[:, -limit:]
    return -np.sort(-largest, axis=1)


def _others(similarities: Floats, probes: NDArray[np.uint64], ids: NDArray[np.uint64]) -> Floats:
    """The largest similarity of each probe to a caption other than its own."""
    largest: Floats = np.where(probes[:, None] == ids, np.float32(-np.inf), similarities).max(axis=1)
    return largest
