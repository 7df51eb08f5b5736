"""Creates the stages that a worker runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from celery.signals import worker_process_shutdown

from tasks.encoders.locked_encoder import LockedTextEncoder
from tasks.encoders.requirements import cores
from tasks.message_parts import ObjectRef
from tasks.messages import Embedded, Extracted, Retrieved, Scored, Submitted, decode_any
from tasks.overlap import Ahead
from vectordb.errors import WildtagError
from workers.captions.versions import known_phrases
from workers.images.archive import Archive
from workers.images.departures import Departures, StatementMover
from workers.images.examples import ExampleBook
from workers.images.query_embedding import QueryEmbedding
from workers.images.teacher import NearFollower
from workers.images.text_search import TextSearch
from workers.monitoring.measured import MeasuredCache
from workers.redis.rpc import answer_crashed
from workers.settings.settings import INGESTION, SEGMENTATION, STAGES
from workers.stages import self_test
from workers.stages.caption_trials import CaptionTrials
from workers.stages.crash_guard import CrashGuard
from workers.stages.crash_journal import CrashJournal
from workers.stages.fetching import Fetcher
from workers.stages.guard import UNGUARDED, Guard
from workers.stages.handover import Handover
from workers.stages.message_overlap import LAST_S, MessageOverlap
from workers.stages.model_reports import ModelReports
from workers.stages.rpc_server import RpcServer
from workers.stages.runner import StageRunner
from workers.stages.self_test import SelfTest
from workers.stages.slow_images import DECODING
from workers.stages.table import Stage
from workers.stages.unusable import Triage
from workers.stages.work import Embedding, Extraction, Retrieval, Scoring
from workers.stages.worker import StageWorker
from workers.telemetry import tracing
from workers.wiring.indexing import indexing
from workers.wiring.models import DECODERS, decoded_ahead, decoders, pipeline_options
from workers.wiring.operations import journal
from workers.wiring.stage_of_segmentation import StageOfSegmentation
from workers.wiring.wiring import Wiring
from workers.wiring.words import words_ahead_of

if TYPE_CHECKING:
    from workers.stages.segmenter import Segmenting

FETCHED_AT_ONCE = 8  # objects; a store on the network takes milliseconds for each


def _parses(w: Wiring) -> bool:
    """Whether extraction has to expect captions that it must parse, for which a model is loaded."""
    if w.settings.profile == "paper" or not w.owned:  # it would load gRPC to ask a server
        return True
    try:
        return not known_phrases(w.library, w.space.id, w.chosen())
    except WildtagError:  # such as an outage; each message reports it
        return True


def stage_worker(wiring: Wiring, crash_journal: CrashJournal | None = None) -> StageWorker:
    """The stages of one process. Adapters and models of a stage are created when its first message arrives.

    ``crash_journal``: what the process before this one worked on when it died, and how the models do.
    """
    w, s = wiring, wiring.settings
    extraction_works = self_test.of_extraction(lambda: w.extractor)
    captions = CaptionTrials(w.skipped_captions, crash_journal, extraction_works)

    text_encoder = cache(lambda: LockedTextEncoder(w.text_encoder))
    segmentation = StageOfSegmentation(w, text_encoder, captions, crash_journal)

    def loaded() -> Mapping[str, object]:
        return {**w.loaded_models(), **segmentation.models()}

    @cache
    def segmenting() -> Segmenting:
        from workers.wiring.segmentation import segmenting  # noqa: PLC0415 -- only who segments needs scipy

        return segmenting(w, segmentation.segmenter, fetcher(), handover)

    encode_ahead = words_ahead_of(w, text_encoder)

    def late(ref: ObjectRef) -> None:
        segmentation.segmenter.late(ref)

    handover = Handover(w.ledger, w.publisher, w.inbox, late, s.deadline_s, w.clock)

    def fetcher() -> Fetcher:
        fetching = ThreadPoolExecutor(FETCHED_AT_ONCE, "fetch")
        chosen = w.object_filter
        return Fetcher(w.store, handover, s.max_object_bytes, chosen.content, fetching, chosen.found_content)

    messages = MessageOverlap()

    def ending(**_: object) -> None:
        messages.settle(LAST_S)
        tracing.close()

    worker_process_shutdown.connect(ending, weak=False)

    def embedding() -> Embedding:
        processes, group, at_once = decoded_ahead(w.image_encoder, cores())
        decode = w.decoders if processes == DECODERS else decoders(s, processes)
        overlap = Ahead(ThreadPoolExecutor(processes, "decode"), ThreadPoolExecutor(at_once, "embed"), group, at_once)
        triage = Triage(w.store, s.grace_s, w.clock if s.s3_endpoint else w.file_clock, video=s.video)
        return Embedding(
            fetcher(), decode, w.image_encoder, w.pipeline_options, triage, handover,
            decoding_s=DECODING * s.time_limits[STAGES[0]], overlap=overlap, release=messages.release,
            alone=messages.alone,
        )  # fmt: skip

    options = w.pipeline_options
    mover = StatementMover(w.statements, lambda: journal(w), lambda: w.store, w.backlog, w.clock)
    departures = Departures(mover, w.backlog, lambda oids: [etag for etag, _ in w.records.known(oids)])
    book = ExampleBook(
        w.images, w.statements, w.records, w.space.usual_distance, options.min_confidence,
        departures=None if w.prepares else departures,  # what it lacks is not gone
    )  # fmt: skip
    stages: Mapping[str, Stage[Any]] = {
        "embedding": Stage(
            Submitted.decode,
            cache(embedding),
        ),
        "retrieval": Stage(
            lambda data: decode_any(data, Embedded, Submitted),
            cache(
                lambda: Retrieval(
                    w.indexes,
                    w.images,
                    w.chosen,
                    w.reference_vectors,
                    w.pipeline_options,
                    handover,
                    embedded_at_once=s.batch_max,
                    with_background=w.confidence_model is not None,
                    book=book,
                    shared=not w.owned,
                )
            ),
        ),
        "extraction": Stage(
            Retrieved.decode,
            cache(
                lambda: Extraction(
                    partial(captions.extractor, w.extractor), MeasuredCache(w.cache, "phrases"), handover
                )
            ),
        ),
        "scoring": Stage(
            Extracted.decode,
            cache(
                lambda: Scoring(
                    text_encoder(),
                    MeasuredCache(w.cache, "words"),
                    cache(partial(pipeline_options, s, w.space.thresholds, w.confidence_model)),
                    w.confidence_model,
                    handover,
                )
            ),
        ),
        SEGMENTATION: Stage(Scored.decode, segmenting),
    }
    loads: Mapping[str, Callable[[], object]] = {
        "embedding": stages["embedding"].work,
        "retrieval": lambda: (stages["retrieval"].work(), w.indexes.open(w.chosen())),
        "extraction": lambda: w.extractor.warm() if _parses(w) else None,
        "scoring": lambda: (stages["scoring"].work(), encode_ahead()),
        # the first image loads the models, so they use no memory where nothing is segmented
        SEGMENTATION: lambda: None,
        INGESTION: lambda: w.text_encoder,
    }
    reports = ModelReports(w.models_in_use, loaded, w.clock)
    stages = {
        queue: Stage(stage.decode, cache(lambda queue=queue, stage=stage: reports.after(queue, stage.work())))
        for queue, stage in stages.items()
    }
    loads = {queue: reports.after(queue, load) for queue, load in loads.items()}
    self_tests: Mapping[str, SelfTest] = {
        "embedding": self_test.of_images(lambda: w.image_encoder),
        "retrieval": self_test.of_captions(lambda: w.indexes.open(w.chosen())),
        "extraction": extraction_works,
        "scoring": self_test.of_texts(text_encoder),
        INGESTION: self_test.of_texts(lambda: w.text_encoder),
        SEGMENTATION: segmentation.test,
    }
    guard: Guard = UNGUARDED
    if crash_journal is not None:
        answer = partial(answer_crashed, w.redis, w.keys)
        guard = CrashGuard(crash_journal, self_tests, handover, w.outage_tracker, answer, s.time_limits,
                           captions=captions)  # fmt: skip
        guard.recover()
    runner = StageRunner(
        stages, handover, w.publisher, w.health, w.outage_tracker, s.task_time_limit_s, guard=guard,
        time_limits=s.time_limits,
    )  # fmt: skip
    archive = Archive(
        lambda: w.images, w.follow_jobs, lambda: w.publisher, lambda: w.reference_vectors, w.ledger.tag_again
    )
    text_search = TextSearch(
        lambda: w.images,
        lambda: w.indexes.open(w.chosen()),
        lambda: w.reference_vectors,
        w.space.id,
    )
    query_embedding = QueryEmbedding(w.redis, w.keys, w.decoders, lambda: w.image_encoder, lambda: w.pipeline_options)
    rpc = RpcServer(
        w.redis, w.keys, lambda: w.indexes, lambda: w.images, archive, book, indexing(w, book), text_encoder,
        query_embedding, text_search, w.space.id, NearFollower(book, w.records, w.statements, w.backlog),
    )  # fmt: skip
    return StageWorker(runner, rpc, w.health, loads, messages, guard)
