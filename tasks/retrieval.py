"""Retrieval: the captions nearest to each image (CaSED, section 3.2: the restriction of the semantic space).

All vectors are float32 of unit length; similarities are cosines.

Beyond the paper, hubs can be held back: captions that are near to pictures of any kind, and so come up for all of
them. What counts is then how much nearer a caption is to this image than to the pictures that it is nearest to, as
in cross-domain similarity local scaling (Conneau et al., ICLR 2018).
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from tasks.messages import Embedded, Floats, Hit, Parsed, Retrieved, Vectors
from vectordb.captions import CANDIDATES, Caption
from vectordb.index import CaptionSearch, Neighbours, WrongDimension

# ops/decisions/0006-bundled-encoder.md has the figures of other values
WIDER = 3  # with typical pictures: among how many times ``limit`` captions the best are chosen
NEAREST = 10  # typical pictures that say how much of a hub a caption is


def retrieve(
    batch: Embedded,
    index: CaptionSearch,
    *,
    limit: int = 10,
    duplicate_similarity: float = 0.94,
    reference_vectors: Floats | None = None,
) -> Retrieved:
    """The ``limit`` nearest captions of each image, near-copies removed, and their centroid.

    ``reference_vectors``: unit vectors (m, d) of images of every kind, for hubness correction.

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
    found = nearest(index, batch.vectors.array(), limit, reference_vectors) if batch.objects else []
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


def nearest(index: CaptionSearch, vectors: Floats, limit: int, reference_vectors: Floats | None) -> list[Neighbours]:
    """The ``limit`` nearest captions of each row of ``vectors`` (n, d), copies included."""
    if reference_vectors is None:
        return index.search(vectors, limit)
    return [without_hubs(found, reference_vectors, limit) for found in index.search(vectors, limit * WIDER)]


def without_hubs(neighbours: Neighbours, reference_vectors: Floats, limit: int) -> Neighbours:
    """The ``limit`` captions whose similarity is farthest above their mean one to the typical pictures nearest them.

    They stay in the order of their similarities.
    """
    if len(neighbours.captions) <= limit:
        return neighbours
    nearby = min(NEAREST, len(reference_vectors))
    hubness = np.partition(neighbours.vectors @ reference_vectors.T, -nearby, axis=1)[:, -nearby:].mean(axis=1)
    best = np.argsort(hubness - neighbours.similarities, kind="stable")[:limit]
    return _only(neighbours, np.sort(best))


def without_copies(neighbours: Neighbours, duplicate_similarity: float) -> Neighbours:
    """The first caption of each group of captions that are near-copies of each other."""
    first = first_of_each(neighbours.vectors, duplicate_similarity)
    return neighbours if len(first) == len(neighbours.captions) else _only(neighbours, first)


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


def _only(neighbours: Neighbours, rows: NDArray[np.intp]) -> Neighbours:
    captions = tuple(neighbours.captions[row] for row in rows)
    return Neighbours(captions, neighbours.similarities[rows], neighbours.vectors[rows])


def _hits(neighbours: Neighbours) -> tuple[Hit, ...]:
    pairs = zip(neighbours.captions, neighbours.similarities.tolist(), strict=True)
    return tuple(Hit(c.id, c.text, similarity, _parsed(c)) for c, similarity in pairs)


def _parsed(caption: Caption) -> Parsed | None:
    """What the import found in the caption, if it looked."""
    kept = caption.payload.get(CANDIDATES)
    return None if kept is None else msgspec.convert(kept, Parsed)
