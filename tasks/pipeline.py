"""The whole method: its options, the call of each stage with them, and all four in one process.

The calls stand here once: ``Pipeline`` makes them one after the other without a broker, and the Celery tasks
(``workers.stages``) make one each. A new option is a field of ``PipelineOptions``, which a call below passes on, and
a setting of the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tasks.cache import Cache, LRUCache
from tasks.distinct import distinct
from tasks.embedding import PendingEmbedding, begin
from tasks.encoders.protocols import ImageEncoder, TextEncoder
from tasks.extraction import Extractor, extract, extractor
from tasks.hubness import ReferenceVectors
from tasks.images import MAX_PIXELS, decode_with_media
from tasks.images.decoder import Decoder
from tasks.message_parts import DerivedThresholds, Fault, Floats, Judgement, ObjectRef, Revision
from tasks.messages import Batch, Embedded, Extracted, Retrieved, Scored, Submitted
from tasks.overlap import InTurn, Overlap
from tasks.retrieval import retrieve
from tasks.scoring import PLAIN, Judge, score
from vectordb.index import CaptionSearch

CACHED = 50_000  # cached word vectors and parses: about 80 MB at 384 dimensions
M = TypeVar("M", bound=Batch)


@dataclass(frozen=True)
class PipelineOptions:
    """The parameters of the method; names and meanings are those of the stages' arguments.

    ``distinct_tags``: scoring reduces tags by ``tasks.distinct``.
    """

    max_pixels: int = MAX_PIXELS
    media_gps: bool = False
    video: bool = False
    limit: int = 10
    duplicate_similarity: float = 0.94
    alpha: float = 0.7
    tau: float = 1.0
    max_tags: int | None = 5
    min_score: float = 0.0
    synonym_similarity: float = 1.0
    head_similarity: float = 1.0
    unknown_similarity: float = -1.0
    evidence_similarity: float = -1.0
    prompts: tuple[str, ...] = PLAIN
    min_confidence: float = 0.0
    detect_featureless: bool = False
    distinct_tags: bool = False
    view: str = ""


def begin_embedding(
    batch: Submitted, images: Sequence[bytes], encoder: ImageEncoder, options: PipelineOptions,
    decode: Decoder = decode_with_media, overlap: Overlap = InTurn(),  # noqa: B008 - has no state
) -> PendingEmbedding:  # fmt: skip
    """See ``tasks.embedding.begin``."""
    return begin(
        batch, images, encoder, decode=decode, max_pixels=options.max_pixels, gps=options.media_gps,
        video=options.video, detect_featureless=options.detect_featureless, view=options.view,
        overlap=overlap,
    )  # fmt: skip


def embedding(
    batch: Submitted, images: Sequence[bytes], encoder: ImageEncoder, options: PipelineOptions,
    decode: Decoder = decode_with_media,
) -> tuple[Embedded, tuple[Fault, ...]]:  # fmt: skip
    """See ``tasks.embedding.embed``."""
    return begin_embedding(batch, images, encoder, options, decode).finish()


def retrieval(
    batch: Embedded,
    index: CaptionSearch,
    options: PipelineOptions,
    reference_vectors: ReferenceVectors | None = None,
    background_vectors: Floats | None = None,
    thresholds: DerivedThresholds | None = None,
    judge: Callable[[Embedded], tuple[Judgement, ...]] | None = None,
) -> Retrieved:
    """See ``tasks.retrieval.retrieve``."""
    return retrieve(
        batch, index, limit=options.limit, duplicate_similarity=options.duplicate_similarity,
        reference_vectors=reference_vectors, background_vectors=background_vectors, thresholds=thresholds,
        judge=judge,
    )  # fmt: skip


def extraction(batch: Retrieved, extractor: Extractor, cache: Cache) -> Extracted:
    """See ``tasks.extraction.extract``."""
    return extract(batch, extractor, cache)


def scoring(
    batch: Extracted, encoder: TextEncoder, cache: Cache, options: PipelineOptions, judge: Judge | None = None
) -> Scored:
    """See ``tasks.scoring.score``."""
    return score(
        batch, encoder, cache, alpha=options.alpha, tau=options.tau, max_tags=options.max_tags,
        min_score=options.min_score, synonym_similarity=options.synonym_similarity,
        head_similarity=options.head_similarity, unknown_similarity=options.unknown_similarity,
        evidence_similarity=options.evidence_similarity, prompts=options.prompts, judge=judge,
        min_confidence=options.min_confidence, detect_featureless=options.detect_featureless,
        reduce=distinct if options.distinct_tags else None,
    )  # fmt: skip


@dataclass(frozen=True)
class Pipeline:
    """The adapters of the stages, and the options. ``clock`` returns seconds; without it nothing is timed.

    ``reference_vectors`` and ``background_vectors``: see ``tasks.retrieval.retrieve``. ``judge``: see
    ``tasks.scoring.score``. ``decode``: decodes images, by default in this process.
    """

    image_encoder: ImageEncoder
    text_encoder: TextEncoder
    index: CaptionSearch
    captions_version: str
    extractor: Extractor = field(default_factory=extractor)
    cache: Cache = field(default_factory=lambda: LRUCache(CACHED))
    pipeline_options: PipelineOptions = PipelineOptions()
    reference_vectors: ReferenceVectors | None = None
    background_vectors: Floats | None = None
    judge: Judge | None = None
    clock: Callable[[], float] | None = None
    decode: Decoder = decode_with_media

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
        embedded, faults = embedding(batch, images, self.image_encoder, self.pipeline_options, self.decode)
        return self.score(self.candidates(self._timed(embedded, "embedding", start))), faults

    def candidates(self, batch: Embedded) -> Extracted:
        """Run retrieval and extraction."""
        start = self._now()
        retrieved = retrieval(
            batch, self.index, self.pipeline_options, self.reference_vectors, self.background_vectors
        )
        retrieved = self._timed(retrieved, "retrieval", start)
        start = self._now()
        return self._timed(extraction(retrieved, self.extractor, self.cache), "extraction", start)

    def score(self, batch: Extracted) -> Scored:
        """Run scoring."""
        start = self._now()
        return self._timed(self._scored(batch), "scoring", start)

    def _scored(self, batch: Extracted) -> Scored:
        return scoring(batch, self.text_encoder, self.cache, self.pipeline_options, self.judge)

    def _now(self) -> float:
        return 0.0 if self.clock is None else self.clock()

    def _timed(self, message: M, stage: str, start: float) -> M:
        return message if self.clock is None else message.timed(stage, (self.clock() - start) * 1000)
