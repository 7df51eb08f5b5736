"""Names for the parts of one image, from one vocabulary: two halves of a cat are one cat.

Each part goes through retrieval, extraction and scoring as an image does. The best tags of all parts, the more the
larger the part, make the image's vocabulary, synonyms merged; then each part is scored against the whole of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tasks.messages import Embedded, Extracted, Floats, Hit, ObjectRef, Scored, Vectors
from tasks.pipeline import Pipeline
from tasks.scoring import encode_words, probabilities

Source = Literal["part", "image"]


@dataclass(frozen=True)
class Naming:
    """How parts are named.

    ``source``: where candidates come from, as in the reference implementation: the captions near to each part, or
    those near to the whole image. ``most``: labels of an image. ``same``: parts whose vectors have a cosine above it
    are looked up once.
    """

    source: Source = "part"
    most: int = 32
    same: float = 0.98


DEFAULT = Naming()


@dataclass(frozen=True)
class Named:
    """``scores``: (parts, labels), rows of zeros where a part is unknown. ``hits``: per part, by label."""

    labels: tuple[str, ...]
    scores: Floats
    hits: tuple[Mapping[str, tuple[Hit, ...]], ...]
    looked_up: int


def named(vectors: Floats, sizes: Floats, whole: Floats, pipeline: Pipeline, naming: Naming) -> Named:
    """Names for parts with these unit vectors (n, d) and sizes (n,); a part without a vector has zeros and no name.

    ``whole`` (d,): the vector of the whole image, which ``source="image"`` asks for.
    """
    seen = np.flatnonzero(vectors.any(axis=1))
    leaders, follows = distinct(vectors[seen], naming.same)
    if not len(leaders):
        return Named((), np.zeros((len(vectors), 0), np.float32), tuple({} for _ in vectors), 0)
    weights = np.bincount(follows, weights=sizes[seen].astype(np.float64), minlength=len(leaders)).astype(np.float64)
    found, looked_up = _candidates(vectors[seen][leaders], whole, pipeline, naming.source)
    scored = pipeline.score(found)
    families = vocabulary(scored, weights, pipeline, naming.most)
    labels = tuple(families)
    scores = np.zeros((len(vectors), len(labels)), np.float32)
    hits: list[Mapping[str, tuple[Hit, ...]]] = [{} for _ in vectors]
    if labels:
        known = np.array([bool(tags) for tags in scored.tags])
        of_leaders = np.where(known[:, None], scored_against(labels, found, pipeline), 0)
        scores[seen] = of_leaders[follows]
        shown = [_hits(found, row, families) for row in range(len(leaders))]
        for part, leader in zip(seen, follows, strict=True):
            hits[part] = shown[leader]
    return Named(labels, scores, tuple(hits), looked_up)


def distinct(vectors: Floats, same: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows that stand for all others, and for each row of ``vectors`` which of them stands for it.

    In order: a row that is not near to any row before it that stands for others stands for itself. Not chained,
    unlike connected components: a slow change over the image must not end in one vector.
    """
    leaders: list[int] = []
    follows = np.full(len(vectors), -1, dtype=np.intp)
    for row, vector in enumerate(vectors):
        if follows[row] < 0:
            near = (follows < 0) & (vectors @ vector > same)
            near[row] = True  # rounding may leave a vector's cosine to itself below
            follows[near] = len(leaders)
            leaders.append(row)
    return np.array(leaders, dtype=np.intp), follows


def vocabulary(
    scored: Scored, weights: NDArray[np.float64], pipeline: Pipeline, most: int
) -> dict[str, frozenset[str]]:
    """The labels of the image, each with all labels that it stands for, the one with the most votes first.

    A part votes for its best tag, with its size and the tag's score. Labels that are synonyms of one with more votes
    go to that one.
    """
    votes: defaultdict[str, float] = defaultdict(float)
    for tags, weight in zip(scored.tags, weights, strict=True):
        if tags:
            votes[tags[0].label] += weight * tags[0].score
    ranked = sorted(votes, key=lambda label: (-votes[label], label))
    if not ranked:
        return {}
    pipeline_options = pipeline.pipeline_options
    words = encode_words(ranked, pipeline.text_encoder, pipeline.cache, pipeline_options.prompts)
    families: dict[int, set[str]] = {}
    for at, label in enumerate(ranked):
        kept = list(families)
        near = words[kept] @ words[at] if kept else np.zeros(0)
        if kept and near.max() > pipeline_options.synonym_similarity:
            families[kept[int(near.argmax())]].add(label)
        elif len(kept) < most:
            families[at] = {label}
    return {ranked[at]: frozenset(family) for at, family in families.items()}


def scored_against(labels: Sequence[str], found: Extracted, pipeline: Pipeline) -> Floats:
    """Each object's score for each of ``labels``, whatever its own candidates are: (n, labels)."""
    pipeline_options, space = pipeline.pipeline_options, pipeline.text_encoder.space
    words = encode_words(labels, pipeline.text_encoder, pipeline.cache, pipeline_options.prompts).astype(np.float64)
    by_image, by_text = (
        np.array(
            [probabilities(row, space, pipeline_options.tau) for row in side.array().astype(np.float64) @ words.T]
        )
        for side in (found.vectors, found.centroids)
    )
    mixed: Floats = (pipeline_options.alpha * by_image + (1 - pipeline_options.alpha) * by_text).astype(np.float32)
    return mixed


def _candidates(vectors: Floats, whole: Floats, pipeline: Pipeline, source: Source) -> tuple[Extracted, int]:
    """The candidates of these vectors, and how many were searched for."""
    if source == "part":
        return pipeline.candidates(batch_of(vectors, pipeline)), len(vectors)
    one = pipeline.candidates(batch_of(whole[None], pipeline))
    count = len(vectors)
    return msgspec.structs.replace(
        one, objects=batch_of(vectors, pipeline).objects, vectors=Vectors.of(vectors),
        centroids=Vectors.of(np.repeat(one.centroids.array(), count, axis=0)),
        hits=one.hits * count, candidates=one.candidates * count,
    ), 1  # fmt: skip


def batch_of(vectors: Floats, pipeline: Pipeline) -> Embedded:
    """A batch of parts: the stages ask for objects, and look at nothing of them."""
    parts = tuple(ObjectRef("", str(number), "") for number in range(len(vectors)))
    return Embedded(objects=parts, revision=pipeline.revision, vectors=Vectors.of(vectors))


def _hits(found: Extracted, row: int, families: Mapping[str, frozenset[str]]) -> dict[str, tuple[Hit, ...]]:
    """The captions of an object that hold a label of the image, or one that it stands for."""
    where: defaultdict[str, set[int]] = defaultdict(set)
    for candidate in found.candidates[row]:
        for label, family in families.items():
            if candidate.label in family:
                where[label].update(candidate.evidence)
    return {label: tuple(found.hits[row][at] for at in sorted(places)) for label, places in where.items()}
