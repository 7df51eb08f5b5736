"""The extraction stage, and what it asks of a profile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tasks.cache import Cache
from tasks.messages import Candidate, Extracted, Hit, Retrieved

OBJECT = "object"  # what the reference implementation calls an image whose captions leave no word


class Extractor(Protocol):
    """A profile: captions to candidates."""

    def candidates(self, retrieved: Sequence[Sequence[Hit]], cache: Cache) -> list[tuple[Candidate, ...]]:
        """Per object its candidates, each label once; none where its hits name nothing."""
        ...

    def warm(self) -> None:
        """Load what is otherwise loaded with the first captions that are not in the cache."""
        ...


def extract(batch: Retrieved, extractor: Extractor, cache: Cache) -> Extracted:
    """The candidates of each object; ``object`` where there are none, with all its hits as evidence."""
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
    )
