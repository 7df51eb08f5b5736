"""Handles a message of each of the four stages: load, call the stage, store, send to the next stage.

After ``scoring``, objects that are to be segmented are sent on one by one (``workers.stages.segmenter``); the others
are finished.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tasks import pipeline
from tasks.cache import Cache
from tasks.encoders.protocols import ImageEncoder, TextEncoder
from tasks.extraction import Extractor
from tasks.hubness import ReferenceVectors
from tasks.images.decoder import Decoder
from tasks.message_parts import DerivedThresholds, Revision
from tasks.messages import Embedded, Extracted, Retrieved, Submitted
from tasks.overlap import Overlap
from tasks.pipeline import PipelineOptions
from tasks.scoring import Judge
from vectordb.images import ImageEntry
from vectordb.index import IndexMissing
from workers.captions.versions import OpenIndexes
from workers.images.examples import ExampleBook
from workers.images.keeping import keep, kept
from workers.images.open_images import OpenImages
from workers.lifecycle.outcomes import Accepted
from workers.monitoring.measured import count_cache
from workers.stages.fetching import Fetcher
from workers.stages.handover import Handover
from workers.stages.slow_images import splitting
from workers.stages.tally import Tally
from workers.stages.unusable import Triage


def _since(start: float) -> float:
    """Milliseconds."""
    return (time.perf_counter() - start) * 1000


class Embedding:
    """Fetch the images that are still wanted, embed them, and send their vectors to the next stage."""

    def __init__(
        self, fetcher: Fetcher, decode: Decoder, encoder: ImageEncoder, options: PipelineOptions, triage: Triage,
        handover: Handover, *, decoding_s: float, overlap: Overlap, release: Callable[[str], object] = lambda _: None,
        alone: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        """``decoding_s``: seconds for decoding a batch, after which each of its objects is sent again, alone.

        ``release``: called with what was decoded, when all images are and the next message may begin. ``alone``:
        called before an object over which a process has died, which is worked on with no other message beside it.
        """
        self._alone = alone
        self._release = release
        self._decoding_s = decoding_s
        self._overlap = overlap
        self._decode = decode
        self._fetcher = fetcher
        self._triage = triage
        self._encoder = encoder
        self._options = options
        self._handover = handover

    def __call__(self, batch: Submitted, accepted: Accepted) -> None:
        """See ``workers.stages.table.Work``."""
        if crashed := any(one.crashed for one in accepted.values()):
            self._alone()
        batch, images, faults = self._fetcher(batch, accepted)
        start = time.perf_counter()
        decode = self._decode if len(images) == 1 else splitting(self._decode, self._decoding_s)
        begun = pipeline.begin_embedding(batch, images, self._encoder, self._options, decode, self._overlap)
        # the other images are not needed any more, and those of the next message take their place
        unread = {fault.object.id for fault in begun.faults}
        data = {ref.id: image for ref, image in zip(batch.objects, images, strict=True) if ref.id in unread}
        del images
        said = Tally()
        said.add("decoded", len(batch.objects) - len(unread))
        unusable = [*faults, *begun.faults]
        said.add("unusable", len(unusable), [fault.code for fault in unusable])
        if len(batch.objects) > len(unread):
            said.say("to be encoded while the next message is decoded")
        if not crashed:
            self._release(repr(said))
        embedded, bad = begun.finish()
        embedded = embedded.timed("embedding", _since(start))
        self._handover.settle(batch, self._triage([*faults, *bad], data), accepted)
        self._handover.hand_on("retrieval", embedded)


class Retrieval:
    """Retrieve the nearest captions from the version that the batch was submitted for, and keep the vectors.

    A batch that was not embedded is one of images that were: their vectors are taken from the index of images. Those
    that are not there are embedded.
    """

    def __init__(
        self,
        indexes: OpenIndexes,
        images: OpenImages,
        chosen: Callable[[], str],
        reference_vectors: ReferenceVectors | None,
        options: PipelineOptions,
        handover: Handover,
        *,
        embedded_at_once: int,
        with_background: bool = False,
        book: ExampleBook | None = None,
        shared: bool = False,
    ) -> None:
        """``chosen``: returns the captions version in use. ``with_background``: scoring gives confidences.

        ``embedded_at_once``: objects in a batch for embedding at most. ``book``: the exemplars. ``shared``: other
        processes use the index of images, too, so that people may be answered while this one works on a batch.
        """
        self._shared = shared
        self._embedded_at_once = embedded_at_once
        self._with_background = with_background
        self._indexes = indexes
        self._images = images
        self._book = book
        self._chosen = chosen
        self._reference_vectors = reference_vectors
        self._options = options
        self._handover = handover

    def __call__(self, batch: Embedded | Submitted, _: Accepted) -> None:
        """See ``workers.stages.table.Work``."""
        stored: list[ImageEntry] = []
        if isinstance(batch, Submitted):
            batch, rest, stored = kept(self._images, batch, self._options.view)
            count_cache("image_vectors", len(batch.objects), len(rest.objects))
            for part in rest.parts(self._embedded_at_once):
                self._handover.hand_on("embedding", part)
            if not batch.objects:
                return
        version = batch.revision.captions_version
        try:
            index = self._indexes.open(version)
            background = self._indexes.background(version) if self._with_background else None
            start = time.perf_counter()
            retrieved = pipeline.retrieval(
                batch,
                index,
                self._options,
                self._reference_vectors,
                background,
                self._indexes.thresholds(version),
                self._book.judge if self._book else None,
            )
        except IndexMissing:
            self._indexes.release(version)
            if version == self._chosen():
                raise
            self._handover.submit_again(batch)  # the version was dropped meanwhile
        else:
            self._handover.hand_on("extraction", retrieved.timed("retrieval", _since(start)))
            keep(self._images, retrieved, batch, stored)
            if self._shared and self._book is not None and (late := self._book.late(batch, retrieved.judgements)):
                self._handover.tag_again(late)


class Extraction:
    """Extract the candidates from the captions."""

    def __init__(self, extractor: Callable[[Revision], Extractor], cache: Cache, handover: Handover) -> None:
        """``extractor``: of the captions of a version."""
        self._extractor = extractor
        self._cache = cache
        self._handover = handover

    def __call__(self, batch: Retrieved, _: Accepted) -> None:
        """See ``workers.stages.table.Work``."""
        start = time.perf_counter()
        extracted = pipeline.extraction(batch, self._extractor(batch.revision), self._cache)
        self._handover.hand_on("scoring", extracted.timed("extraction", _since(start)))


class Scoring:
    """Score the candidates and write the records."""

    def __init__(
        self,
        encoder: TextEncoder,
        cache: Cache,
        options: Callable[[DerivedThresholds | None], PipelineOptions],
        judge: Judge | None,
        handover: Handover,
    ) -> None:
        """``options``: returns those for the thresholds of the captions. ``judge``: gives confidences, if any."""
        self._judge = judge
        self._encoder = encoder
        self._cache = cache
        self._options = options
        self._handover = handover

    def __call__(self, batch: Extracted, accepted: Accepted) -> None:
        """See ``workers.stages.table.Work``."""
        start = time.perf_counter()
        scored = pipeline.scoring(batch, self._encoder, self._cache, self._options(batch.thresholds), self._judge)
        self._handover.finish(scored.timed("scoring", _since(start)), accepted)
