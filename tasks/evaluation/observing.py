"""Collects the tags of labelled images with their features, for the fit of a confidence model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tasks.cache import LRUCache
from tasks.confidence import FEATURES, Numbers
from tasks.evaluation.acceptance import Acceptance
from tasks.evaluation.manifest import Item, Skipped
from tasks.evaluation.methods import Tools
from tasks.evaluation.run import Source, embedded_of
from tasks.pipeline import CACHED, extraction, retrieval, scoring
from vectordb.errors import Permanent
from vectordb.index import SAMPLE_LEAST


class TooFewCaptions(Permanent):
    """The caption database is too small to say what is usual for an image."""


@dataclass
class Recorder:
    """A judge that keeps the features it is asked about, one array per image, and is never sure."""

    rows: list[Numbers] = field(default_factory=list)

    def confidences(self, features: Numbers) -> Numbers:
        """Zeros: tags keep the order of their scores."""
        self.rows.append(features)
        return np.zeros(len(features))


@dataclass(frozen=True)
class Observed:
    """A set: features (n, 5), whether each tag is right (n,), the number of its image (n,), and skipped items."""

    features: Numbers
    right: NDArray[np.bool_]
    image: NDArray[np.int64]
    skipped: tuple[Skipped, ...]


def observed(
    items: Sequence[Item], source: Source, tools: Tools, acceptance: Acceptance,
    on_progress: Callable[[int, int], None] | None = None,
) -> Observed:  # fmt: skip
    """Every tag of every image, with all thresholds off. Raises ``TooFewCaptions`` without background vectors."""
    if tools.background_vectors is None or not len(tools.background_vectors):
        raise TooFewCaptions(
            f"confidences need a sample of at least {SAMPLE_LEAST} captions: import more, or choose others with"
            " wildtag captions use"
        )
    recorder, cache, skipped = Recorder(), LRUCache(CACHED), []
    options = replace(tools.pipeline_options, max_tags=None)
    right: list[bool] = []
    image: list[int] = []
    for begin in range(0, len(items), source.batch):
        part = items[begin : begin + source.batch]
        embedded, _, bad = embedded_of(part, source)
        skipped += bad
        found = retrieval(embedded, tools.index, options, tools.reference_vectors, tools.background_vectors)
        scored = scoring(extraction(found, tools.extractor, cache), tools.encoder, cache, options, recorder)
        for ref, tags in zip(scored.objects, scored.tags, strict=True):
            at = int(ref.key)
            right += acceptance.right([tag.label for tag in tags], part[at].labels) if tags else []
            image += [begin + at] * len(tags)
        if on_progress:
            on_progress(begin + len(part), len(items))
    features = np.concatenate([np.empty((0, len(FEATURES))), *recorder.rows])
    return Observed(features, np.array(right, bool), np.array(image, np.int64), tuple(skipped))
