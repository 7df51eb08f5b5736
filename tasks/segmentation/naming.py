"""Names the parts of one image with one vocabulary, so that two halves of a cat get the same label.

Each part goes through retrieval, extraction and scoring like an image. The best tags of all parts, weighted by the
size of the part and with synonyms merged, are the image's vocabulary. Then each part is scored against all of it. A
part without a tag that is sure enough is unknown, as an image would be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tasks.message_parts import Floats, Hit, ObjectRef, Tag, Vectors
from tasks.messages import Embedded, Extracted, Scored
from tasks.pipeline import Pipeline
from tasks.retrieval import backgrounds
from tasks.scoring import encode_words, probabilities

Source = Literal["part", "image"]


@dataclass(frozen=True)
class Naming:
    """How parts are named.

    ``source``: take candidates from the captions nearest to each part or to the whole image; the reference
    implementation has both. ``most``: maximum number of labels per image. ``same``: parts whose vectors have a
    cosine above this share one caption search.
    """

    source: Source = "part"
    most: int = 32
    same: float = 0.98


DEFAULT = Naming()


@dataclass(frozen=True)
class Named:
    """The names of parts. ``scores``: (parts, labels), zeros for unknown parts. ``hits``: per part, by label."""

    labels: tuple[str, ...]
    scores: Floats
    hits: tuple[Mapping[str, tuple[Hit, ...]], ...]
    looked_up: int


def named(vectors: Floats, sizes: Floats, whole: Floats, pipeline: Pipeline, naming: Naming) -> Named:
    """Names for parts with these unit vectors (n, d) and sizes (n,). A row of zeros means no vector, and no name.

    ``whole`` (d,): the vector of the whole image, used with ``source="image"``.
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
        shown = [_hits(found, row, families, scored.tags[row]) for row in range(len(leaders))]
        for part, leader in zip(seen, follows, strict=True):
            hits[part] = shown[leader]
    return Named(labels, scores, tuple(hits), looked_up)


def distinct(vectors: Floats, same: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Representative rows, and for each row of ``vectors`` the index of its representative.

    Rows are visited in order; a row that is not similar to an earlier representative becomes one itself. Similarity
    is not chained as in connected components: a gradual change over the image must not collapse into one vector.
    """
    leaders: list[int] = []
    follows = np.full(len(vectors), -1, dtype=np.intp)
    for row, vector in enumerate(vectors):
        if follows[row] < 0:
            near = (follows < 0) & (vectors @ vector > same)
            near[row] = True  # with rounding, the cosine of a vector with itself may be lower
            follows[near] = len(leaders)
            leaders.append(row)
    return np.array(leaders, dtype=np.intp), follows


def vocabulary(
    scored: Scored, weights: NDArray[np.float64], pipeline: Pipeline, most: int
) -> dict[str, frozenset[str]]:
    """The labels of the image, each with the labels merged into it, ordered by votes.

    A part votes for its best tag, weighted by its size and the tag's score. A synonym of a label with more votes is
    merged into that label.
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
    """The score of each object for each of ``labels``, independent of its own candidates: (n, labels)."""
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
    """The candidates of these vectors, and the number of caption searches."""
    if source == "part":
        return pipeline.candidates(batch_of(vectors, pipeline)), len(vectors)
    one = pipeline.candidates(batch_of(whole[None], pipeline))
    count, behind = len(vectors), pipeline.background_vectors
    return msgspec.structs.replace(
        one, objects=batch_of(vectors, pipeline).objects, vectors=Vectors.of(vectors),
        centroids=Vectors.of(np.repeat(one.centroids.array(), count, axis=0)),
        hits=one.hits * count, candidates=one.candidates * count,
        backgrounds=() if behind is None else backgrounds(vectors, behind),
    ), 1  # fmt: skip


def batch_of(vectors: Floats, pipeline: Pipeline) -> Embedded:
    """A batch of parts. The stages need objects and use nothing of them."""
    parts = tuple(ObjectRef("", str(number), "") for number in range(len(vectors)))
    return Embedded(objects=parts, revision=pipeline.revision, vectors=Vectors.of(vectors))


def _hits(
    found: Extracted, row: int, families: Mapping[str, frozenset[str]], tags: Sequence[Tag]
) -> dict[str, tuple[Hit, ...]]:
    """The captions of an object that contain a label of the image or a label merged into it.

    A tag for several kinds of a noun, which may be no candidate itself, has the captions of its kinds.
    """
    where: defaultdict[str, set[int]] = defaultdict(set)
    named_here = [
        *((one.label, one.evidence) for one in found.candidates[row]),
        *((tag.label, tag.evidence) for tag in tags),
    ]
    for name, evidence in named_here:
        for label, family in families.items():
            if name in family:
                where[label].update(evidence)
    return {label: tuple(found.hits[row][at] for at in sorted(places)) for label, places in where.items()}
