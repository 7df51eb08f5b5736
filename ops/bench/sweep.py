"""Evaluate every combination of parameters of the method. Images are embedded once for all combinations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import msgspec

from tasks.cache import Cache, LRUCache
from tasks.encoders.protocols import TextEncoder
from tasks.evaluation.results import Judge
from tasks.extraction import Extractor
from tasks.hubness import ReferenceVectors
from tasks.messages import Embedded, Extracted
from tasks.pipeline import CACHED, PipelineOptions, extraction, retrieval, scoring
from vectordb.index import CaptionSearch


@dataclass(frozen=True)
class Grid:
    """The values of each parameter. ``scales``: logit scales, instead of that of the vector space."""

    limits: Sequence[int]
    alphas: Sequence[float]
    scales: Sequence[float]

    def __len__(self) -> int:
        return len(self.limits) * len(self.alphas) * len(self.scales)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A combination and its figures, as in ``wildtag evaluate``."""

    captions: str
    profile: str
    k: int
    alpha: float
    scale: float
    cluster_accuracy: float
    semantic_iou: float
    semantic_similarity: float
    unique_labels: int
    mean_candidates: float


def sweep(
    embedded: Embedded,
    targets: Sequence[str],
    indexes: Mapping[str, CaptionSearch],
    extractors: Mapping[str, Extractor],
    encoder: TextEncoder,
    grid: Grid,
    judge: Judge,
    pipeline_options: PipelineOptions,
    reference_vectors: ReferenceVectors | None = None,
) -> Iterator[Row]:
    """All combinations, by captions, profile and K. ``targets[i]`` is the true label of ``embedded.objects[i]``.

    ``pipeline_options``: what the grid leaves open; ``reference_vectors``: see ``tasks.retrieval.retrieve``.
    """
    cache = LRUCache(CACHED)
    for (captions, index), limit in product(indexes.items(), grid.limits):
        options = replace(pipeline_options, limit=limit)
        retrieved = retrieval(embedded, index, options, reference_vectors)
        for profile, extractor in extractors.items():
            extracted = extraction(retrieved, extractor, cache)
            mean = sum(map(len, extracted.candidates)) / max(1, len(targets))
            for alpha, scale in product(grid.alphas, grid.scales):
                # the temperature divides the space's own scale
                tau = encoder.space.logit_scale / scale
                labels = _labels(extracted, encoder, cache, replace(options, alpha=alpha, tau=tau))
                accuracy, iou, similarity, _ = judge.figures(labels, targets)
                yield Row(
                    captions=captions, profile=profile, k=limit, alpha=alpha, scale=scale,
                    cluster_accuracy=round(accuracy, 6), semantic_iou=round(iou, 6),
                    semantic_similarity=round(similarity, 6), unique_labels=len(set(labels)),
                    mean_candidates=round(mean, 3),
                )  # fmt: skip


def _labels(
    extracted: Extracted, encoder: TextEncoder, cache: Cache, pipeline_options: PipelineOptions
) -> list[str | None]:
    scored = scoring(extracted, encoder, cache, replace(pipeline_options, max_tags=1))
    return [tags[0].label if tags else None for tags in scored.tags]
