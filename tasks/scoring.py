"""Scoring: decides which of its candidates an image shows (CaSED, section 3.2, equations 3 to 5).

Each candidate is compared with the image, and with the centroid of the image's retrieved captions. Both give a
probability; ``alpha`` weights them. Vectors of words are cached.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from tasks.cache import Cache
from tasks.confidence import Numbers, features
from tasks.encoders.protocols import Space, TextEncoder
from tasks.message_parts import Background, Candidate, Floats, Hit, Tag, Unknown
from tasks.messages import Extracted, Scored, WrongSpace
from tasks.ranking import DIGITS, Ranked, rank
from tasks.vector_maths import unit

PLAIN = ("{}",)
WORD = "word/"  # what the keys of the vectors of words begin with


class Judge(Protocol):
    """What gives confidences: a ``ConfidenceModel``."""

    def confidences(self, features: Numbers) -> Numbers:
        """(n, 5) features of the tags of one image → (n,) probabilities."""
        ...


class Reduce(Protocol):
    """What chooses the tags to show: ``tasks.distinct.distinct``."""

    def __call__(self, tags: Sequence[Tag], hits: Sequence[Hit], least: float) -> list[Tag]:
        """All tags of an image, best first → those to show, best first; none below the minimum ``least``."""
        ...


def score(
    batch: Extracted,
    encoder: TextEncoder,
    cache: Cache,
    *,
    alpha: float = 0.7,
    tau: float = 1.0,
    max_tags: int | None = 5,
    min_score: float = 0.0,
    synonym_similarity: float = 1.0,
    head_similarity: float = 1.0,
    unknown_similarity: float = -1.0,
    evidence_similarity: float = -1.0,
    prompts: Sequence[str] = PLAIN,
    judge: Judge | None = None,
    min_confidence: float = 0.0,
    detect_featureless: bool = False,
    reduce: Reduce | None = None,
) -> Scored:
    """The best ``max_tags`` candidates of each image (all, if ``None``), best first.

    ``tau`` divides the logits. Candidates whose cosine is above ``synonym_similarity`` become one tag, which has the
    name of its noun above ``head_similarity``; a tag below ``min_score`` is dropped, and one whose best caption is
    below ``evidence_similarity``; an image whose nearest caption is below ``unknown_similarity`` gets no tags. No
    tags means *unknown*. ``prompts`` is the paper's UpperCaSED: a word's vector is the unit mean over them. All words
    of the batch that are not cached are encoded in one call. Raises ``WrongSpace`` if another encoder made the
    batch's vectors.

    With ``judge`` and backgrounds in the batch, tags have a confidence, are ordered by it, and those below
    ``min_confidence`` are dropped; ``max_tags`` then only limits their number. ``detect_featureless``: an image that
    embedding found featureless gets no tags. ``reduce``: chooses the tags to show in place of the minimum alone. The
    field ``unknown`` of the result says why an image has no tags.
    """
    space = encoder.space
    if space.id != batch.revision.space_id or space.dimension != batch.vectors.dimension:
        raise WrongSpace(
            f"the batch was embedded in space {batch.revision.space_id} ({batch.vectors.dimension}"
            f" dimensions), but this worker's encoder uses {space.id} ({space.dimension}): run all stages"
            " with the same encoder"
        )
    labels = list(dict.fromkeys(candidate.label for found in batch.candidates for candidate in found))
    words = encode_words(labels, encoder, cache, prompts)
    position = {label: at for at, label in enumerate(labels)}
    # in float64, so that an image's scores do not depend on the rest of the batch by rounding
    queries = np.concatenate([batch.vectors.array(), batch.centroids.array()]).astype(np.float64)
    similarities = queries @ words.astype(np.float64).T
    count = len(batch.objects)
    judged = judge is not None and bool(batch.backgrounds)
    tags: list[tuple[Tag, ...]] = []
    unknown: list[Unknown | None] = []
    for row, (found, hits) in enumerate(zip(batch.candidates, batch.hits, strict=True)):
        nothing = _nothing_to_score(batch, row, unknown_similarity, detect_featureless=detect_featureless)
        if nothing is not None:
            tags.append(())
            unknown.append(nothing)
            continue
        columns = [position[candidate.label] for candidate in found]
        by_image = probabilities(similarities[row, columns], space, tau)
        by_text = probabilities(similarities[count + row, columns], space, tau)
        vectors = words[columns] if synonym_similarity < 1 else None
        ranked = rank(
            found, by_image, by_text, alpha=alpha, vectors=vectors, synonym_similarity=synonym_similarity,
            head_similarity=head_similarity,
            limit=max_tags if reduce is None and not judged and evidence_similarity <= -1 else None,
        )  # fmt: skip
        every = [(one, _tag(found, one)) for one in ranked]
        why, least = _missed("low-score", [tag for _, tag in every], min_score), 0.0
        left = [(one, tag) for one, tag in every if tag.score >= min_score]
        if left and evidence_similarity > -1:
            best = max((tag for _, tag in left), key=lambda tag: _evidence(tag, hits))
            why = Unknown("low-evidence", best.label, round(_evidence(best, hits), DIGITS), evidence_similarity)
            left = [(one, tag) for one, tag in left if _evidence(tag, hits) >= evidence_similarity]
        sure = [tag for _, tag in left]
        if judge is not None and judged:
            by_name = similarities[row, [columns[one.members[0]] for one, _ in left]]
            sure = _judged(sure, by_name, hits, batch.backgrounds[row], judge)
            least = min_confidence
            if sure:
                why = _missed("low-confidence", sure, least)
        chosen = reduce(sure, hits, least) if reduce else [tag for tag in sure if tag.strength >= least]
        tags.append(tuple(chosen[:max_tags]))
        unknown.append(None if chosen else why)
    return Scored(
        objects=batch.objects,
        revision=batch.revision,
        timings_ms=batch.timings_ms,
        hits=batch.hits,
        tags=tuple(tags),
        media=batch.media,
        unknown=tuple(unknown),
        judgements=batch.judgements,
        hashes=batch.hashes,
    )


def probabilities(similarities: NDArray[np.float64], space: Space, tau: float = 1.0) -> NDArray[np.float64]:
    """Cosines of one image with its candidates (c,) → softmax over them (CLIP) or a sigmoid of each (SigLIP)."""
    logits = (similarities * space.logit_scale + space.logit_bias) / tau
    if space.normalisation == "sigmoid":
        each: NDArray[np.float64] = np.exp(-np.logaddexp(0.0, -logits))
        return each
    powers = np.exp(logits - logits.max(initial=-np.inf))
    shares: NDArray[np.float64] = powers / powers.sum()
    return shares


def encode_words(labels: Sequence[str], encoder: TextEncoder, cache: Cache, prompts: Sequence[str] = PLAIN) -> Floats:
    """The unit vector of each label, (n, dimension); labels that are not cached are encoded in one call."""
    space = encoder.space
    prefix = f"{WORD}{space.id}/{digest_of(prompts)}"
    keys = [prefix + label for label in labels]
    size = space.dimension * 4
    vectors: list[bytes] = []
    missing: list[int] = []
    for at, value in enumerate(cache.get_many(keys)):
        if value is None or len(value) != size:
            missing.append(at)
            value = b""  # noqa: PLW2901 -- placeholder until the word is encoded below
        vectors.append(value)
    if missing:
        texts = [prompt.replace("{}", labels[at]) for at in missing for prompt in prompts]
        encoded = encoder.encode(texts).reshape(len(missing), len(prompts), space.dimension)
        mean = encoded[:, 0] if len(prompts) == 1 else unit(encoded.mean(axis=1))
        for at, vector in zip(missing, mean, strict=True):
            vectors[at] = vector.astype(np.float32, copy=False).tobytes()
        cache.set_many({keys[at]: vectors[at] for at in missing})
    return np.frombuffer(b"".join(vectors), dtype=np.float32).reshape(-1, space.dimension)


def _nothing_to_score(
    batch: Extracted, row: int, unknown_similarity: float, *, detect_featureless: bool
) -> Unknown | None:
    """Why an image gets no tags, whatever its candidates; ``None`` if they decide."""
    if detect_featureless and batch.featureless and batch.featureless[row]:
        return Unknown("featureless")
    hits = batch.hits[row]
    if not hits:
        return Unknown("no-captions")
    if hits[0].similarity < unknown_similarity:
        return Unknown("no-near-caption", None, round(hits[0].similarity, DIGITS), unknown_similarity)
    return None


def _missed(code: str, ordered: Sequence[Tag], least: float) -> Unknown:
    """Why no tag of an image, best first, is shown: the best is below ``least``."""
    return Unknown(code, ordered[0].label, ordered[0].strength, least) if ordered else Unknown(code)


def digest_of(prompts: Sequence[str]) -> str:
    """Empty for the plain word; otherwise a short digest of the list of prompts."""
    if tuple(prompts) == PLAIN:
        return ""
    return hashlib.blake2b("\n".join(prompts).encode(), digest_size=6).hexdigest() + "/"


def _judged(
    tags: Sequence[Tag], similarities: Numbers, hits: Sequence[Hit], behind: Background, judge: Judge
) -> list[Tag]:
    """The tags of an image with their confidences, best first; equal ones keep their order.

    ``similarities`` (n,): cosines of the image and the names of the tags.
    """
    if not tags:
        return []
    evidence = [_evidence(tag, hits) for tag in tags]
    rows = features(similarities.tolist(), evidence, [tag.text_score for tag in tags], behind)
    confidences = judge.confidences(rows).tolist()
    with_confidence = [
        msgspec.structs.replace(tag, confidence=confidence) for tag, confidence in zip(tags, confidences, strict=True)
    ]
    return sorted(with_confidence, key=lambda tag: -(tag.confidence or 0.0))


def _evidence(tag: Tag, hits: Sequence[Hit]) -> float:
    """The similarity of the image and the best caption that names the tag."""
    return max((hits[at].similarity for at in tag.evidence), default=-1.0)


def _tag(candidates: Sequence[Candidate], ranked: Ranked) -> Tag:
    evidence = sorted({position for at in ranked.members for position in candidates[at].evidence})
    return Tag(
        candidates[ranked.members[0]].label, ranked.score, ranked.image_score, ranked.text_score, tuple(evidence)
    )
