"""Retrieval: the captions nearest to each image (CaSED, section 3.2: the restriction of the semantic space).

All vectors are float32 of unit length; similarities are cosines.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from tasks.messages import Embedded, Floats, Hit, Parsed, Retrieved, Vectors
from vectordb.captions import CANDIDATES, Caption
from vectordb.index import CaptionSearch, Neighbours, WrongDimension


def retrieve(
    batch: Embedded, index: CaptionSearch, *, limit: int = 10, duplicate_similarity: float = 0.94
) -> Retrieved:
    """The ``limit`` nearest captions of each image, near-copies removed, and their centroid.

    All images are searched in one call. An image may keep fewer than ``limit`` captions: the centroid is taken
    *after* the copies are gone, as in the paper's code, so that a caption that the database holds ten times
    does not outvote the others. Raises ``WrongDimension`` when the index belongs to another space.
    """
    dimension = batch.vectors.dimension
    if dimension != index.dimension:
        raise WrongDimension(
            f"the images' vectors have {dimension} dimensions (space {batch.revision.space_id}), the captions'"
            f" {index.dimension}: the captions were encoded by another model and must be encoded again by this one"
        )
    found = index.search(batch.vectors.array(), limit) if batch.objects else []
    kept = [without_copies(neighbours, duplicate_similarity) for neighbours in found]
    centroids = np.zeros((len(kept), dimension), dtype=np.float32)
    for row, neighbours in enumerate(kept):
        centroids[row] = centroid(neighbours.vectors)
    return Retrieved(
        objects=batch.objects,
        revision=batch.revision,
        timings_ms=batch.timings_ms,
        vectors=batch.vectors,
        centroids=Vectors.of(centroids),
        hits=tuple(_hits(neighbours) for neighbours in kept),
    )


def without_copies(neighbours: Neighbours, duplicate_similarity: float) -> Neighbours:
    """The first caption of each group of captions that are near-copies of each other."""
    first = first_of_each(neighbours.vectors, duplicate_similarity)
    if len(first) == len(neighbours.captions):
        return neighbours
    return Neighbours(
        tuple(neighbours.captions[i] for i in first), neighbours.similarities[first], neighbours.vectors[first]
    )


def first_of_each(vectors: Floats, threshold: float) -> NDArray[np.intp]:
    """Which rows of ``vectors`` (k, d; unit length) come first in their connected component, in order.

    Two rows are connected when their cosine is greater than ``threshold``, and so is whatever a chain of such
    pairs joins. Every row takes the smallest row number that its neighbours know, until nothing changes.
    """
    count = len(vectors)
    rows = np.arange(count)
    near = vectors @ vectors.T > threshold
    near[rows, rows] = True  # rounding may leave a vector's cosine to itself below the threshold
    if int(near.sum()) == count:
        return rows
    labels = rows
    while True:
        spread = np.where(near, labels, count).min(axis=1)
        if np.array_equal(spread, labels):
            return np.flatnonzero(labels == rows)
        labels = spread


def centroid(vectors: Floats) -> Floats:
    """The unit mean (d,) of unit vectors (k, d); zeros when there are none or when they cancel out."""
    mean = vectors.sum(axis=0, dtype=np.float64)
    unit: Floats = (mean / (np.linalg.norm(mean) or 1.0)).astype(np.float32)
    return unit


def _hits(neighbours: Neighbours) -> tuple[Hit, ...]:
    pairs = zip(neighbours.captions, neighbours.similarities.tolist(), strict=True)
    return tuple(Hit(c.id, c.text, similarity, _parsed(c)) for c, similarity in pairs)


def _parsed(caption: Caption) -> Parsed | None:
    """What the import found in the caption, if it looked."""
    kept = caption.payload.get(CANDIDATES)
    return None if kept is None else msgspec.convert(kept, Parsed)
