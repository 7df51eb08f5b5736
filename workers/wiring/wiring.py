"""The composition root: it turns settings into adapters. Each adapter is created at its first use, once.

Each process creates its own ``Wiring``, also after a fork. Nothing is shared or global.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from celery import Celery

from tasks.cache import Cache, LayeredCache, LRUCache
from tasks.encoders.protocols import ImageEncoder, Space, TextEncoder
from tasks.extraction import Extractor, extractor
from tasks.messages import Floats, Revision
from tasks.pipeline import Pipeline, PipelineOptions
from tasks.scoring import PLAIN
from vectordb.errors import Permanent
from vectordb.index import CaptionSearch
from vectordb.library import ChangeableLibrary
from workers.broker.app import create_app
from workers.broker.publisher import Publisher
from workers.dispatch.dispatcher import Dispatcher, Pace
from workers.dispatch.event_filter import EventFilter
from workers.dispatch.keeper import Keeper
from workers.dispatch.reconcile import Sweeper
from workers.events.redis_target import AccessList, NamespaceHash
from workers.events.sink import EventSink
from workers.events.sources import Sightings, Sources
from workers.gateway.api_keys import ApiKeys
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.ledger import Ledger
from workers.lifecycle.record_reader import Records
from workers.notifying.dead_letters import DeadLetters
from workers.notifying.outbox import Outbox
from workers.notifying.plan import Plan
from workers.notifying.writeback import Writer
from workers.outages.board import Board
from workers.outages.report import OutageReport
from workers.outages.tracker import OutageTracker
from workers.redis.cache import RedisCache
from workers.redis.connection import Client, connect
from workers.redis.heartbeats import Health
from workers.redis.keys import Keys
from workers.redis.rpc import RpcClient
from workers.segmentation.queue import SegmentQueue
from workers.segmentation.requests import SegmentationRequests
from workers.settings.settings import STAGES, Settings
from workers.settings.webhook_secrets import secrets_of
from workers.stores.folder import FolderStore
from workers.stores.object_filter import ObjectFilter
from workers.stores.store import ObjectInfo, ObjectStore
from workers.supervision.liveness_files import LivenessFiles

if TYPE_CHECKING:
    from workers.captions.versions import Indexes
    from workers.events.listen_api import Connect
    from workers.notifying.notifier import Notifier, Post
    from workers.notifying.posting import Poster
    from workers.segmentation.artifacts import Artifacts
    from workers.stores.s3 import S3Store

LOCAL_ENTRIES = 50_000  # word vectors and parses cached per process: about 80 MB at 384 dimensions


class Wiring:
    """The adapters of a process, by name."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self.clock = clock

    @cached_property
    def app(self) -> Celery:
        return create_app(self.settings)

    @cached_property
    def redis(self) -> Client:
        return connect(self.settings.redis_url)

    @cached_property
    def keys(self) -> Keys:
        return Keys(self.settings.key_prefix)

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.redis, self.keys, self.settings.feed_length)

    @cached_property
    def records(self) -> Records:
        return Records(self.redis, self.keys)

    @cached_property
    def inbox(self) -> Inbox:
        return Inbox(self.redis, self.keys.inbox)

    @cached_property
    def later(self) -> Inbox:
        """The low-priority inbox: objects to tag again when no new ones wait."""
        return Inbox(self.redis, self.keys.later)

    @cached_property
    def segmentation_requests(self) -> SegmentationRequests:
        return SegmentationRequests(self.redis, self.keys)

    @cached_property
    def pictures(self) -> Artifacts:
        from workers.segmentation.artifacts import Artifacts  # noqa: PLC0415 -- only needed to write or remove artifacts

        return Artifacts(self.store, self.redis, self.keys, self.settings.output_prefix)

    def pipeline(
        self, index: CaptionSearch, captions_version: str, clock: Callable[[], float] | None = None
    ) -> Pipeline:
        """All stages, with these captions. Loads both encoders."""
        return Pipeline(
            self.image_encoder, self.text_encoder, index, captions_version, extractor=self.extractor,
            pipeline_options=self.pipeline_options, reference_vectors=self.reference_vectors, clock=clock,
        )  # fmt: skip

    @cached_property
    def object_filter(self) -> ObjectFilter:
        s = self.settings
        return ObjectFilter(
            prefixes=s.follow_prefixes, suffixes=s.follow_suffixes, content_types=s.follow_types,
            ignored_prefixes=s.ignore_prefixes, ignored_suffixes=s.ignore_suffixes, ignored_types=s.ignore_types,
            output=s.output_prefix, uploads=s.upload_prefix,
        )  # fmt: skip

    @cached_property
    def api_keys(self) -> ApiKeys:
        return ApiKeys(self.redis, self.keys, self.clock)

    @cached_property
    def event_sink(self) -> EventSink:
        return EventSink(self.redis, self.keys)

    @cached_property
    def redis_target(self) -> AccessList | NamespaceHash:
        """The reader of MinIO's Redis target, for the format in the settings."""
        s = self.settings
        target = connect(s.redis_target_url) if s.redis_target_url else self.redis
        if s.redis_target_format == "access":
            return AccessList(target, s.redis_target_key, s.bucket, self.event_sink)
        return NamespaceHash(target, s.redis_target_key, s.bucket, self.event_sink, self.redis, self.keys)

    @cached_property
    def listening(self) -> Connect:
        """Connects to the listen API of the bucket, over the store's connection of this process."""
        from workers.events.listen_api import HEADER_S, connecting  # noqa: PLC0415 -- only needed to listen

        if self.settings.s3_endpoint is None:
            raise Permanent("the bucket is a folder, which has no listen API: `wildtag watcher` watches it")
        return connecting(self.s3.connection.once(HEADER_S), self.settings.bucket)

    @cached_property
    def sources(self) -> Sources:
        return Sources(self.redis, self.keys, self.clock)

    @cached_property
    def sightings(self) -> Sightings:
        return Sightings(self.redis, self.keys)

    @cached_property
    def health(self) -> Health:
        return Health(self.redis, self.keys, self.clock, self.liveness)

    @cached_property
    def liveness(self) -> LivenessFiles:
        """The liveness files of this process."""
        return LivenessFiles(self.settings.liveness_folder)

    @cached_property
    def board(self) -> Board:
        """The outages seen by any process. Has its own connection, so that reports do not wait for other commands."""
        return Board(
            connect(self.settings.redis_url, patience_s=5.0, tries=1), self.keys,
            f"{socket.gethostname()}-{os.getpid()}", self.clock,
        )  # fmt: skip

    @cached_property
    def outage_tracker(self) -> OutageTracker:
        """The outages of this process, and the probes that detect their end."""
        from workers.wiring.probes import PATIENCE_S, probes  # noqa: PLC0415 -- loads the index engine

        def store() -> ObjectStore:
            return self._store_of(read_s=PATIENCE_S, tries=1)

        def space() -> tuple[str, int]:
            return self.space.id, self.space.dimension

        return OutageTracker(self.board, probes(self.settings, self.publisher, store, space), self.clock)

    @cached_property
    def outages(self) -> OutageReport:
        """The outages seen by any process, for people and metrics."""
        return OutageReport(self.board, self.outage_tracker, self.records.counts)

    @cached_property
    def publisher(self) -> Publisher:
        return Publisher(self.app)

    @cached_property
    def store(self) -> ObjectStore:
        return self.s3 if self.settings.s3_endpoint is not None else self._store_of()

    @cached_property
    def s3(self) -> S3Store:
        """The bucket on an S3 server: ``store`` if ``s3_endpoint`` is set, with the full interface."""
        return self._s3_of()

    def _store_of(self, **patience: Any) -> ObjectStore:
        """A store with its own connections. ``patience``: timeouts of ``S3Options``."""
        if self.settings.s3_endpoint is not None:
            return self._s3_of(**patience)
        return FolderStore({self.settings.bucket: self.settings.inbox_folder}, self.settings.output_prefix)

    def _s3_of(self, **patience: Any) -> S3Store:
        from workers.stores.s3 import S3Store  # noqa: PLC0415 -- not needed for a folder
        from workers.stores.s3_connection import S3Connection, S3Options  # noqa: PLC0415 -- as above

        s = self.settings
        if s.s3_endpoint is None:
            raise Permanent(
                "WILDTAG_S3_ENDPOINT is not set: set it to the URL of the S3 server, such as http://minio:9000"
            )
        options = S3Options(
            s.s3_endpoint, s.s3_public_endpoint or s.s3_endpoint, s.s3_region,
            access_key=s.s3_access_key, secret_key=s.s3_secret_key, credentials_file=s.s3_credentials_file,
            ca_file=s.s3_ca_file, iam=s.s3_iam, **patience,
        )  # fmt: skip
        return S3Store(S3Connection(options), frozenset({s.bucket}))

    @cached_property
    def cache(self) -> Cache:
        """In-process memory over Redis, for word vectors and parsed captions."""
        far = RedisCache(self.redis, self.keys, self.settings.cache_days * 86_400)
        return LayeredCache(LRUCache(LOCAL_ENTRIES), far)

    @cached_property
    def space(self) -> Space:
        from tasks.encoders import space_of  # noqa: PLC0415 -- encoders are heavy

        return space_of(self.settings.encoder)

    @cached_property
    def library(self) -> ChangeableLibrary:
        from workers.captions.versions import library_of  # noqa: PLC0415 -- loads the index engine

        return library_of(self.settings)

    @property
    def owned(self) -> bool:
        """Whether one process owns the captions (Edge), as opposed to a Qdrant server."""
        return self.settings.qdrant_url is None

    @cached_property
    def chosen(self) -> Callable[[], str]:
        """Returns the captions version for new images, which may change while this process runs."""
        from workers.captions.versions import Chosen  # noqa: PLC0415 -- as above

        return Chosen(self.library, self.space.id, self.settings.captions)

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

    @cached_property
    def image_encoder(self) -> ImageEncoder:
        from tasks.encoders import load_image_encoder  # noqa: PLC0415 -- loads torch

        s = self.settings
        return load_image_encoder(s.encoder, cache_dir=s.cache_folder, threads=s.threads, quality=s.quality)

    @cached_property
    def text_encoder(self) -> TextEncoder:
        from tasks.encoders import load_text_encoder  # noqa: PLC0415 -- loads torch

        return load_text_encoder(
            self.settings.encoder, cache_dir=self.settings.cache_folder, threads=self.settings.threads
        )

    @cached_property
    def reference_vectors(self) -> Floats | None:
        """Reference vectors of typical images for the hubness correction, if the encoder has some."""
        from tasks.encoders import reference_vectors  # noqa: PLC0415 -- as above

        return reference_vectors(self.settings.encoder, cache_dir=self.settings.cache_folder)

    @cached_property
    def extractor(self) -> Extractor:
        return extractor(self.settings.profile)

    @cached_property
    def pipeline_options(self) -> PipelineOptions:
        """The options of the method, from the settings."""
        s, t = self.settings, self.space.thresholds
        prompts = tuple(line for line in s.prompts.read_text().splitlines() if line.strip()) if s.prompts else PLAIN
        return PipelineOptions(
            prompts=prompts,
            max_pixels=s.max_pixels, limit=s.retrieval_limit, duplicate_similarity=s.duplicate_similarity,
            alpha=s.alpha, max_tags=s.max_tags,
            min_score=t.score if s.min_score is None else s.min_score,
            synonym_similarity=t.synonym if s.synonym_similarity is None else s.synonym_similarity,
            unknown_similarity=t.unknown if s.unknown_similarity is None else s.unknown_similarity,
        )  # fmt: skip

    @cached_property
    def indexes(self) -> Indexes:
        """The caption versions that this process has open, and so owns."""
        from workers.captions.versions import Indexes  # noqa: PLC0415 -- as above

        return Indexes(self.library, self.space.id)

    def dispatcher(self, consumer: str) -> Dispatcher:
        """A dispatcher with this consumer name."""
        s = self.settings
        pace = Pace(s.batch_max, s.batch_wait_ms, s.in_flight_max, s.deadline_s, s.give_up_s)
        segments = SegmentQueue(self.redis, self.keys, self.ledger, s.segmenting_max, self.clock)
        return Dispatcher(
            self.inbox, self.later, segments, self.ledger, self.store, self.pictures, self.publisher, self.event_sink,
            EventFilter(self.redis, self.keys, self.event_sink, self.clock), self.current, self.object_filter.key,
            s.segmented, pace, consumer, self.clock, self.outage_tracker,
        )  # fmt: skip

    def sweeper(
        self, bucket: str | None = None, *, prefix: str = "", since: float = 0.0, resume: bool = True,
        rate: float | None = None,
    ) -> Sweeper:  # fmt: skip
        """A sweeper of a bucket; default: the bucket of the settings. ``since``: Unix seconds.

        ``rate``: objects per second; default: that of the settings.
        """
        object_filter = self.object_filter

        def wanted(info: ObjectInfo) -> bool:
            return object_filter.key(info.ref.key) and (info.modified is None or info.modified >= since)

        return Sweeper(
            self.store, bucket or self.settings.bucket, self.records, self.inbox, self.redis, self.keys,
            prefix=prefix, wanted=wanted, resume=resume and not since, rate=rate or self.settings.reconcile_rate,
        )  # fmt: skip

    def writer(self, consumer: str) -> Writer:
        """A writer of tags, with this consumer name."""
        s = self.settings
        return Writer(
            self.store, self.records, self.redis, self.keys, s.bucket, s.write_back, s.output_prefix, consumer,
            self.outage_tracker,
        )  # fmt: skip

    @cached_property
    def outbox(self) -> Outbox:
        return Outbox(self.redis, self.keys)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        return DeadLetters(self.redis, self.keys, self.clock)

    @cached_property
    def poster(self) -> Poster:
        from workers.notifying.posting import Poster  # noqa: PLC0415 -- only needed to send

        s = self.settings
        if s.notify_url is None or s.notify_secret is None:
            raise Permanent("there is no receiver: set WILDTAG_NOTIFY_URL and WILDTAG_NOTIFY_SECRET")
        return Poster(s.notify_url, secrets_of(s.notify_secret), s.notify_timeout_s, s.notify_ca_file, self.clock)

    def notifier(self, post: Post, consumer: str) -> Notifier:
        """A notifier with this consumer name."""
        from workers.notifying.notifier import Notifier  # noqa: PLC0415 -- as above

        s = self.settings
        return Notifier(
            self.redis, self.keys, self.outbox, post, Plan(s.notify_attempts),
            at_once=s.notify_at_once, lease_s=2 * s.notify_timeout_s, consumer=consumer, clock=self.clock,
        )  # fmt: skip

    def keeper(self) -> Keeper:
        """A keeper of the ledger."""
        s = self.settings
        return Keeper(
            self.ledger, self.inbox, self.health, self.publisher, self.current,
            stages=STAGES, deadline_s=s.deadline_s, max_attempts=s.max_attempts, give_up_s=s.give_up_s,
            clock=self.clock, away=self.outages.common,
        )  # fmt: skip
