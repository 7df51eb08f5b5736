"""The whole method in one process, without a broker: the same four stages, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tasks.cache import Cache, LRUCache
from tasks.embedding import embed
from tasks.encoders.protocols import ImageEncoder, TextEncoder
from tasks.extraction import Extractor, extract, extractor
from tasks.images import MAX_PIXELS
from tasks.messages import Batch, Embedded, Extracted, Fault, Floats, ObjectRef, Revision, Scored, Submitted
from tasks.retrieval import retrieve
from tasks.scoring import PLAIN, score
from vectordb.index import CaptionSearch

CACHED = 50_000  # cached word vectors and parses: about 80 MB at 384 dimensions
M = TypeVar("M", bound=Batch)


@dataclass(frozen=True)
class PipelineOptions:
    """The parameters of the method; names and meanings are those of the stages' arguments."""

    max_pixels: int = MAX_PIXELS
    limit: int = 10
    duplicate_similarity: float = 0.94
    alpha: float = 0.7
    tau: float = 1.0
    max_tags: int | None = 5
    min_score: float = 0.0
    synonym_similarity: float = 1.0
    unknown_similarity: float = -1.0
    prompts: tuple[str, ...] = PLAIN


@dataclass(frozen=True)
class Pipeline:
    """The adapters of the stages, and the options. ``clock`` returns seconds; without it nothing is timed.

    ``reference_vectors``: see ``tasks.retrieval.retrieve``.
    """

    image_encoder: ImageEncoder
    text_encoder: TextEncoder
    index: CaptionSearch
    captions_version: str
    extractor: Extractor = field(default_factory=extractor)
    cache: Cache = field(default_factory=lambda: LRUCache(CACHED))
    pipeline_options: PipelineOptions = PipelineOptions()
    reference_vectors: Floats | None = None
    clock: Callable[[], float] | None = None

    @property
    def revision(self) -> Revision:
        """What the results depend on besides the images."""
        return Revision(self.image_encoder.space.id, self.captions_version)

    def submit(self, objects: Sequence[ObjectRef]) -> Submitted:
        """Create a batch for this pipeline."""
        return Submitted(objects=tuple(objects), revision=self.revision)

    def run(self, batch: Submitted, images: Sequence[bytes]) -> tuple[Scored, tuple[Fault, ...]]:
        """Tag ``images[i]`` as ``batch.objects[i]``; images that cannot be tagged are returned as faults."""
        start = self._now()
        embedded, faults = embed(batch, images, self.image_encoder, max_pixels=self.pipeline_options.max_pixels)
        return self.score(self.candidates(self._timed(embedded, "embedding", start))), faults

    def candidates(self, batch: Embedded) -> Extracted:
        """Run retrieval and extraction."""
        c = self.pipeline_options
        start = self._now()
        retrieved = retrieve(
            batch,
            self.index,
            limit=c.limit,
            duplicate_similarity=c.duplicate_similarity,
            reference_vectors=self.reference_vectors,
        )
        retrieved = self._timed(retrieved, "retrieval", start)
        start = self._now()
        return self._timed(extract(retrieved, self.extractor, self.cache), "extraction", start)

    def score(self, batch: Extracted) -> Scored:
        """Run scoring."""
        c = self.pipeline_options
        start = self._now()
        scored = score(
            batch, self.text_encoder, self.cache, alpha=c.alpha, tau=c.tau, max_tags=c.max_tags,
            min_score=c.min_score, synonym_similarity=c.synonym_similarity,
            unknown_similarity=c.unknown_similarity, prompts=c.prompts,
        )  # fmt: skip
        return self._timed(scored, "scoring", start)

    def _now(self) -> float:
        return 0.0 if self.clock is None else self.clock()

    def _timed(self, message: M, stage: str, start: float) -> M:
        return message if self.clock is None else message.timed(stage, (self.clock() - start) * 1000)
