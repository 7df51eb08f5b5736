"""Computes the metrics of CaSED, section 5, from answers; *unknown* counts as wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from tasks.evaluation.answers import Answer
from tasks.message_parts import Floats
from tasks.metrics import cluster_accuracy, semantic_iou, semantic_similarity


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a method on a set.

    ``seconds_per_image`` = ``embedding_seconds_per_image`` + ``own_seconds_per_image``; ``setup_seconds`` were spent
    once. ``mean_candidates``: the number of labels it chose from. ``unknown``: images without a label; in all three
    metrics they count as 0.
    """

    method: str
    images: int
    cluster_accuracy: float
    semantic_iou: float
    semantic_similarity: float
    unique_labels: int
    mean_candidates: float
    unknown: int
    seconds_per_image: float
    embedding_seconds_per_image: float
    own_seconds_per_image: float
    setup_seconds: float


class Judge:
    """Compares labels. ``encode``: texts → (n, d) unit vectors of the sentence model; called once per text."""

    def __init__(self, encode: Callable[[Sequence[str]], Floats]) -> None:
        self._encode = encode
        self._vectors: dict[str, Floats] = {}

    def result(
        self,
        method: str,
        answers: Sequence[Answer],
        targets: Sequence[str],
        *,
        embedding: float,
        own: float,
        setup: float,
    ) -> tuple[Result, list[float]]:
        """The figures of a method and each answer's semantic similarity. Times in seconds, for all images."""
        count = len(answers)
        labels = [answer.label for answer in answers]
        accuracy, iou, similarity, each = self.figures(labels, targets)
        result = Result(
            method=method,
            images=count,
            cluster_accuracy=round(accuracy, 6),
            semantic_iou=round(iou, 6),
            semantic_similarity=round(similarity, 6),
            unique_labels=len({label for label in labels if label is not None}),
            mean_candidates=round(sum(answer.candidates for answer in answers) / count, 3),
            unknown=labels.count(None),
            seconds_per_image=round((embedding + own) / count, 6),
            embedding_seconds_per_image=round(embedding / count, 6),
            own_seconds_per_image=round(own / count, 6),
            setup_seconds=round(setup, 3),
        )
        return result, each

    def figures(
        self, labels: Sequence[str | None], targets: Sequence[str]
    ) -> tuple[float, float, float, list[float]]:
        """Cluster accuracy, semantic IoU, semantic similarity, and each answer's similarity."""
        known = [(label, target) for label, target in zip(labels, targets, strict=True) if label is not None]
        predicted, true = [label for label, _ in known], [target for _, target in known]
        self._learn([*predicted, *true])
        share = len(known) / max(1, len(labels))
        each = [
            0.0 if label is None else semantic_similarity([label], [target], self._cached)
            for label, target in zip(labels, targets, strict=True)
        ]
        return (
            cluster_accuracy(predicted, true) * share,
            semantic_iou(predicted, true) * share,
            semantic_similarity(predicted, true, self._cached) * share,
            each,
        )

    def _learn(self, texts: Sequence[str]) -> None:
        new = sorted(set(texts).difference(self._vectors))
        if new:
            self._vectors.update(zip(new, self._encode(new), strict=True))

    def _cached(self, texts: Sequence[str]) -> Floats:
        return np.stack([self._vectors[text] for text in texts])
