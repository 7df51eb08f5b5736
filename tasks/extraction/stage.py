"""The extraction stage, and the interface of profiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tasks.cache import Cache
from tasks.message_parts import Candidate, Hit
from tasks.messages import Extracted, Retrieved

OBJECT = "object"  # used by the reference implementation for an image whose captions leave no word


class Extractor(Protocol):
    """A profile: converts captions to candidates."""

    def candidates(self, retrieved: Sequence[Sequence[Hit]], cache: Cache) -> list[tuple[Candidate, ...]]:
        """The candidates of each object, each label once; empty if its captions name nothing."""
        ...

    def warm(self) -> None:
        """Load models now instead of on first use."""
        ...


def extract(batch: Retrieved, extractor: Extractor, cache: Cache) -> Extracted:
    """The candidates of each object; ``object``, with all its hits as evidence, if there are none."""
    found = extractor.candidates(batch.hits, cache)
    return Extracted(
        objects=batch.objects,
        revision=batch.revision,
        timings_ms=batch.timings_ms,
        vectors=batch.vectors,
        centroids=batch.centroids,
        hits=batch.hits,
        candidates=tuple(
            candidates or (Candidate(OBJECT, tuple(range(len(hits)))),)
            for candidates, hits in zip(found, batch.hits, strict=True)
        ),
        media=batch.media,
        featureless=batch.featureless,
        backgrounds=batch.backgrounds,
        thresholds=batch.thresholds,
        judgements=batch.judgements,
        hashes=batch.hashes,
    )
