"""The composition root: it turns settings into adapters. Each adapter is created at its first use, once.

Each process creates its own ``Wiring``, also after a fork. Nothing is shared or global.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from celery import Celery

from tasks.cache import Cache, LayeredCache, LRUCache
from tasks.confidence import ConfidenceModel
from tasks.encoders import reference_vectors, space_of
from tasks.encoders.protocols import ImageEncoder, Space, TextEncoder
from tasks.extraction import Extractor, extractor
from tasks.hubness import ReferenceVectors
from tasks.message_parts import Revision
from tasks.pipeline import PipelineOptions
from vectordb.library import ChangeableLibrary
from workers.broker.celery_app import create_app
from workers.broker.depths import DepthReader
from workers.broker.publisher import Publisher
from workers.captions.remote_index import RemoteEncoder, RemoteIndex
from workers.captions.versions import ActiveVersion, OpenIndexes, derived_for
from workers.captions.word_store import WordsFirst, WordStore
from workers.decoding.decoders import Decoders
from workers.dispatch.removals import Holds
from workers.events.sink import EventSink
from workers.events.sources import EventProbes, Sources
from workers.gateway.api_keys import ApiKeys
from workers.images.findings import VerificationWanted
from workers.images.open_images import OpenImages
from workers.monitoring.measured import measured_encoder
from workers.notifying.dead_letters import DeadLetters
from workers.notifying.receivers import Receivers
from workers.outages.board import OutageBoard
from workers.outages.outage_report import OutageReport
from workers.outages.tracker import OutageTracker
from workers.redis.cache import RedisCache
from workers.redis.connection import connect
from workers.redis.heartbeats import Health
from workers.redis.models_in_use import ModelBoard
from workers.redis.partition_faults import PartitionFaults
from workers.redis.rpc import RpcClient
from workers.segmentation.partitioned_requests import PartitionedRequests
from workers.segmentation.requests import SegmentationRequests
from workers.settings.release import release
from workers.stores.object_filter import ObjectFilter
from workers.stores.store import ObjectStore
from workers.supervision.liveness_files import LivenessFiles
from workers.wiring.captions import image_library_of, library_of
from workers.wiring.lifecycle_wiring import LifecycleWiring
from workers.wiring.models import confidence_model, decoders, image_encoder, pipeline_options, text_encoder_loader
from workers.wiring.probes import PATIENCE_S, probes
from workers.wiring.stores import object_filter, open_s3, open_store

if TYPE_CHECKING:
    from workers.segmentation.artifacts import Artifacts
    from workers.stores.s3 import S3Store

CACHE_S = 30 * 86_400  # how long Redis keeps an unused word vector or parsed caption
NEAR_ENTRIES = 50_000  # word vectors and parses kept in a process: about 80 MB at 384 dimensions


class Wiring(LifecycleWiring):
    """The adapters of a process, by name."""

    @cached_property
    def app(self) -> Celery:
        s = self.settings
        return create_app(s.broker, s.key_prefix, s.task_time_limit_s, s.broker_ca_file)

    @cached_property
    def segmentation_requests(self) -> SegmentationRequests:
        if self.partitioned:
            return PartitionedRequests(self.partitions, self.partition_clients)
        return SegmentationRequests(self.redis, self.keys)

    @cached_property
    def artifacts(self) -> Artifacts:
        from workers.segmentation.artifacts import Artifacts  # noqa: PLC0415 -- only who draws or removes artifacts needs it

        if self.partitioned:
            from workers.segmentation.partitioned_artifacts import PartitionedArtifacts  # noqa: PLC0415 -- as above

            return PartitionedArtifacts(
                self.store, self.partitions, self.partition_clients, self.settings.output_prefix
            )
        return Artifacts(self.store, self.redis, self.keys, self.settings.output_prefix)

    @cached_property
    def object_filter(self) -> ObjectFilter:
        return object_filter(self.settings)

    @cached_property
    def api_keys(self) -> ApiKeys:
        return ApiKeys(self.redis, self.keys, self.clock)

    @cached_property
    def event_sink(self) -> EventSink:
        append = self.inbox.append if self.partitioned else None
        return EventSink(self.redis, self.keys, append, self.inbox_room.require)

    @cached_property
    def sources(self) -> Sources:
        return Sources(self.redis, self.keys, self.clock)

    @cached_property
    def holds(self) -> Holds:
        """The buckets whose removals are held."""
        return Holds(self.redis, self.keys, self.clock)

    @cached_property
    def event_probes(self) -> EventProbes:
        return EventProbes(self.redis, self.keys)

    @cached_property
    def health(self) -> Health:
        return Health(self.redis, self.keys, self.clock, self.liveness, self.service, self.host, release())

    @cached_property
    def models_in_use(self) -> ModelBoard:
        """How the models of all processes compute."""
        return ModelBoard(self.redis, self.keys, self.process_name, self.clock)

    def loaded_models(self) -> dict[str, object]:
        """The encoders that this process has loaded, by their role."""
        roles = {"image encoder": "image_encoder", "text encoder": "text_encoder"}
        return {role: self.__dict__[name] for role, name in roles.items() if name in self.__dict__}

    @cached_property
    def liveness(self) -> LivenessFiles:
        """The liveness files of this process."""
        return LivenessFiles(self.settings.liveness_folder)

    @cached_property
    def board(self) -> OutageBoard:
        """The outages seen by any process. Has its own connection, so that reports do not wait for other commands."""
        own = connect(self.settings.redis_url, self.settings.key_prefix, patience_s=5.0, tries=1)
        return OutageBoard(own, self.keys, self.process_name, self.clock)

    @cached_property
    def outage_tracker(self) -> OutageTracker:
        """The outages of this process, and the probes that detect their end."""

        def store() -> ObjectStore:
            return open_store(self.settings, read_s=PATIENCE_S, tries=1)

        def space() -> tuple[str, int]:
            return self.space.id, self.space.dimension

        return OutageTracker(self.board, probes(self.settings, self.publisher, store, space), self.clock)

    @cached_property
    def partition_faults(self) -> PartitionFaults:
        """Which partitions are away, as this process has found."""
        tracker = self.outage_tracker
        return PartitionFaults(
            self.partitions.count, lambda name: tracker.is_active(name, probed=True), tracker.register, tracker.wait
        )

    @cached_property
    def outages(self) -> OutageReport:
        """The outages seen by any process, for people and metrics."""
        return OutageReport(self.board, self.outage_tracker, self.records.counts)

    @cached_property
    def publisher(self) -> Publisher:
        return Publisher(self.app, self.clock)

    @cached_property
    def depths(self) -> DepthReader:
        """How many messages are on the queues, for people and metrics."""
        return DepthReader(self.publisher, self.outage_tracker)

    @cached_property
    def store(self) -> ObjectStore:
        return self.s3 if self.settings.s3_endpoint is not None else open_store(self.settings)

    @cached_property
    def s3(self) -> S3Store:
        """The bucket on an S3 server: ``store`` if ``s3_endpoint`` is set, with the full interface."""
        return open_s3(self.settings)

    @cached_property
    def cache(self) -> Cache:
        """In-process memory over words encoded ahead and Redis, for word vectors and parsed captions."""
        far = WordsFirst(self.word_store, RedisCache(self.redis, self.keys, CACHE_S))
        return LayeredCache(LRUCache(NEAR_ENTRIES), far)

    @cached_property
    def word_store(self) -> WordStore:
        """The words of the captions that were encoded ahead, in this vector space."""
        return WordStore(self.settings.cache_folder / f"words-{self.space.id}.sqlite")

    @cached_property
    def space(self) -> Space:
        return space_of(self.settings.encoder, self.settings.runtime)

    @cached_property
    def library(self) -> ChangeableLibrary:
        return library_of(self.settings)

    @property
    def owned(self) -> bool:
        """Whether one process owns the captions (Edge), as opposed to a Qdrant server."""
        return self.settings.qdrant_url is None

    @cached_property
    def chosen(self) -> Callable[[], str]:
        """Returns the captions version for new images, which may change while this process runs."""
        return ActiveVersion(self.library, self.space.id, self.settings.captions)

    def current(self) -> Revision:
        """The current revision for new images."""
        return Revision(self.space.id, self.chosen())

    @cached_property
    def revision(self) -> Revision:
        """The current revision at the first use, kept constant: for tagging in one process, or comparing."""
        return self.current()

    @cached_property
    def rpc(self) -> RpcClient:
        return RpcClient(self.publisher, self.redis, self.keys)

    def remote_index(self, version: str) -> RemoteIndex:
        """A version of the captions, through the retrieval worker that owns it."""
        return RemoteIndex(self.rpc, version, self.space.dimension)

    @property
    def remote_encoder(self) -> RemoteEncoder:
        """The text encoder of a running stack's workers."""
        return RemoteEncoder(self.rpc, self.space)

    @cached_property
    def image_encoder(self) -> ImageEncoder:
        encoder = image_encoder(self.settings)
        return measured_encoder(encoder, "image", encoder.space.id)

    @cached_property
    def decoders(self) -> Decoders:
        """What decodes images, in processes of its own."""
        return decoders(self.settings)

    @cached_property
    def text_encoder(self) -> TextEncoder:
        encoder = text_encoder_loader(self.settings)()
        return measured_encoder(encoder, "text", encoder.space.id)

    @cached_property
    def reference_vectors(self) -> ReferenceVectors | None:
        """Vectors of typical images for the hubness correction, if the encoder has some."""
        vectors = reference_vectors(self.settings.encoder, cache_dir=self.settings.cache_folder)
        return None if vectors is None else ReferenceVectors(vectors)

    @cached_property
    def extractor(self) -> Extractor:
        return extractor(self.settings.profile)

    @cached_property
    def pipeline_options(self) -> PipelineOptions:
        """The options of the method, without thresholds derived for captions."""
        return pipeline_options(self.settings, self.space.thresholds, self.confidence_model)

    def options_for(self, captions_version: str) -> PipelineOptions:
        """The options of the method, with the thresholds derived for these captions."""
        known = derived_for(self.library, self.space.id, captions_version)
        return pipeline_options(self.settings, self.space.thresholds, self.confidence_model, known)

    @cached_property
    def confidence_model(self) -> ConfidenceModel | None:
        return confidence_model(self.settings, self.space.id)

    @cached_property
    def indexes(self) -> OpenIndexes:
        """The caption versions that this process has open and therefore owns."""
        return OpenIndexes(self.library, self.space.id)

    @cached_property
    def images(self) -> OpenImages:
        """The index of images, which this process owns where it is embedded."""
        wanted = VerificationWanted(self.redis, self.keys)
        return OpenImages(
            lambda: image_library_of(self.settings), self.space.id, self.space.dimension, on_empty=wanted.note
        )

    @cached_property
    def receivers(self) -> Receivers:
        """The receivers of webhooks that Redis has something of."""
        return Receivers(self.redis, self.keys, self.clock)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        return DeadLetters(self.redis, self.keys, self.clock)
