"""Retrieval: the captions nearest to each image (CaSED, section 3.2: the restriction of the semantic space).

All vectors are float32 of unit length; similarities are cosines.

Beyond the paper, hubness correction is supported. Hubs are captions that are near to images of any kind and are
therefore retrieved for all of them. The correction ranks captions by how much nearer they are to this image than to
their nearest reference vectors, as in cross-domain similarity local scaling (Conneau et al., ICLR 2018).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tasks.hubness import ReferenceVectors
from tasks.message_parts import Background, DerivedThresholds, Floats, Floor, Hit, Judgement, Parsed, Vectors
from tasks.messages import Embedded, Retrieved
from vectordb.captions import CANDIDATES, Caption
from vectordb.decoders import converted
from vectordb.images import NO_FLOOR
from vectordb.index import CaptionSearch, Neighbours, WrongDimension

# figures of other values: ops/decisions/0006-bundled-encoder.md
WIDER = 3  # with reference vectors: the best are chosen from this multiple of ``limit`` captions


def retrieve(
    batch: Embedded,
    index: CaptionSearch,
    *,
    limit: int = 10,
    duplicate_similarity: float = 0.94,
    reference_vectors: ReferenceVectors | None = None,
    background_vectors: Floats | None = None,
    thresholds: DerivedThresholds | None = None,
    judge: Callable[[Embedded], tuple[Judgement, ...]] | None = None,
) -> Retrieved:
    """The ``limit`` nearest captions of each image, without near-copies, and their centroid.

    ``reference_vectors``: of images of every kind, for hubness correction.
    ``background_vectors``: unit vectors (b, d) of captions of every kind, for the backgrounds. ``thresholds``: those
    derived for these captions; scoring receives them. ``judge``: says what exemplars say of each image.

    All images are searched in one call. An image may keep fewer than ``limit`` captions: the centroid is computed
    *after* copies are removed, as in the paper's code, so that a caption that the database contains ten times does
    not dominate. Raises ``WrongDimension`` if the index belongs to another space.
    """
    dimension = batch.vectors.dimension
    if dimension != index.dimension:
        raise WrongDimension(
            f"the images' vectors have {dimension} dimensions (space {batch.revision.space_id}), but the"
            f" captions' {index.dimension}: another model encoded the captions; import them again with"
            " this encoder"
        )
    wider = limit if reference_vectors is None else limit * WIDER
    found = index.search(batch.vectors.array(), wider) if batch.objects else []
    floors, best_of = list[Floor](), list[Neighbours]()
    for neighbours in found:
        best = neighbours if reference_vectors is None else without_hubs(neighbours, reference_vectors, limit)
        floors.append(floor(neighbours, best, wider, limit, reference_vectors))
        best_of.append(best)
    kept = [without_copies(neighbours, duplicate_similarity) for neighbours in best_of]
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
        media=batch.media,
        featureless=batch.featureless,
        backgrounds=() if background_vectors is None else backgrounds(batch.vectors.array(), background_vectors),
        thresholds=thresholds,
        floors=tuple(floors),
        judgements=judge(batch) if judge and batch.objects else (),
        hashes=batch.hashes,
    )


def floor(
    found: Neighbours, best: Neighbours, wider: int, limit: int, reference_vectors: ReferenceVectors | None
) -> Floor:
    """What a caption must exceed to be among the ``limit`` best of the ``wider`` found ones."""
    if len(best.captions) < limit:
        return Floor(NO_FLOOR, NO_FLOOR)
    ranks = best.similarities
    if reference_vectors is not None:
        ranks = ranks - _hubness(best, reference_vectors)
    # with a corrected order a caption must also be found in the first place
    found_at_least = NO_FLOOR if len(found.captions) < wider else float(found.similarities[-1])
    return Floor(float(ranks.min()), found_at_least)


def backgrounds(vectors: Floats, background_vectors: Floats) -> tuple[Background, ...]:
    """The background of each row of ``vectors`` (n, d); none if there are no background vectors."""
    if not len(background_vectors):
        return ()
    # one row at a time, in float64: an image's background must not depend on the rest of the batch by rounding
    rows = (background_vectors @ vector for vector in vectors)
    return tuple(Background(float(row.mean(dtype=np.float64)), float(row.std(dtype=np.float64))) for row in rows)


def nearest(
    index: CaptionSearch, vectors: Floats, limit: int, reference_vectors: ReferenceVectors | None
) -> list[Neighbours]:
    """The ``limit`` nearest captions of each row of ``vectors`` (n, d), including copies."""
    if reference_vectors is None:
        return index.search(vectors, limit)
    return [without_hubs(found, reference_vectors, limit) for found in index.search(vectors, limit * WIDER)]


def without_hubs(neighbours: Neighbours, reference_vectors: ReferenceVectors, limit: int) -> Neighbours:
    """Hubness correction: keep the captions most similar to the image relative to the reference vectors.

    Ranks captions by their similarity to the image minus their mean similarity to their nearest reference vectors,
    and keeps ``limit`` of them, ordered by similarity to the image.
    """
    if len(neighbours.captions) <= limit:
        return neighbours
    ranks = _hubness(neighbours, reference_vectors) - neighbours.similarities
    return _only(neighbours, np.sort(np.argsort(ranks, kind="stable")[:limit]))


def without_copies(neighbours: Neighbours, duplicate_similarity: float) -> Neighbours:
    """The first caption of each group of near-copies."""
    first = first_of_each(neighbours.vectors, duplicate_similarity)
    return neighbours if len(first) == len(neighbours.captions) else _only(neighbours, first)


def first_of_each(vectors: Floats, threshold: float) -> NDArray[np.intp]:
    """The first row of each connected component of ``vectors`` (k, d; unit length), in order.

    Two rows are connected if their cosine is greater than ``threshold``, directly or through other rows. Every row
    repeatedly takes the smallest row number of its neighbours until nothing changes.
    """
    count = len(vectors)
    rows = np.arange(count)
    near = vectors @ vectors.T > threshold
    near[rows, rows] = True  # rounding may put a vector's cosine to itself below the threshold
    if int(near.sum()) == count:
        return rows
    labels = rows
    while True:
        spread = np.where(near, labels, count).min(axis=1)
        if np.array_equal(spread, labels):
            return np.flatnonzero(labels == rows)
        labels = spread


def centroid(vectors: Floats) -> Floats:
    """The unit mean (d,) of unit vectors (k, d); zeros if there are none or if they cancel out."""
    mean = vectors.sum(axis=0, dtype=np.float64)
    unit: Floats = (mean / (np.linalg.norm(mean) or 1.0)).astype(np.float32)
    return unit


def _hubness(neighbours: Neighbours, reference_vectors: ReferenceVectors) -> Floats:
    return reference_vectors.hubness([caption.id for caption in neighbours.captions], neighbours.vectors)


def _only(neighbours: Neighbours, rows: NDArray[np.intp]) -> Neighbours:
    captions = tuple(neighbours.captions[row] for row in rows)
    return Neighbours(captions, neighbours.similarities[rows], neighbours.vectors[rows])


def _hits(neighbours: Neighbours) -> tuple[Hit, ...]:
    pairs = zip(neighbours.captions, neighbours.similarities.tolist(), strict=True)
    return tuple(hit_of(caption, similarity) for caption, similarity in pairs)


def hit_of(caption: Caption, similarity: float) -> Hit:
    """A retrieved caption."""
    return Hit(caption.id, caption.text, similarity, _parsed(caption))


def _parsed(caption: Caption) -> Parsed | None:
    """The phrases stored by the import, if there are any."""
    kept = caption.payload.get(CANDIDATES)
    return None if kept is None else converted(kept, Parsed)
