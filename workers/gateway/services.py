"""The adapters and options of the gateway, created by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from vectordb.captions import Caption
from vectordb.errors import Permanent
from workers.broker.depths import DepthReader
from workers.decoding.decoders import Decoders
from workers.dispatch.object_batches import Batches
from workers.dispatch.removals import Holds
from workers.events.sink import EventSink
from workers.events.sources import Sources
from workers.gateway.api_keys import ApiKeys
from workers.gateway.batching_writer import BatchingWriter
from workers.gateway.free_space import FreeSpace
from workers.gateway.idempotency import Idempotency
from workers.gateway.rate_limits import UNLIMITED, Rates
from workers.gateway.sessions import Sessions
from workers.gateway.upload_slots import UploadSlots
from workers.images.coverage import CoverageReader
from workers.images.duplicate_finder import DuplicateFinder
from workers.images.finding import Finder
from workers.images.findings import StoredStanding
from workers.images.kept_lists import KeptLists
from workers.images.teacher import Teacher
from workers.lifecycle.inbox import EventInbox
from workers.lifecycle.inbox_state import InboxReader
from workers.lifecycle.ledger_counts import LedgerReader
from workers.lifecycle.losses import Losses
from workers.lifecycle.progress import ProgressReader
from workers.lifecycle.record_reader import Records
from workers.lifecycle.spelling import Spellings
from workers.lifecycle.statements import Statements
from workers.notifying.dead_letters import DeadLetters
from workers.notifying.receivers import Receivers
from workers.outages.outage_report import OutageReport
from workers.redis.data_loss import DataLoss, Refill
from workers.redis.drain import Drain
from workers.redis.heartbeats import Health
from workers.redis.models_in_use import ModelBoard
from workers.redis.servers import RedisServers
from workers.segmentation.requests import SegmentationRequests
from workers.stores.store import ObjectStore


class NoSuchCaption(Permanent):
    """No caption with this id was added."""


@dataclass(frozen=True)
class Lesson:
    """Captions that were added or known: each with whether it is new, and the number of images it concerns.

    ``images``: the number of images that any new one concerns. ``complete``: all images were compared in time;
    otherwise the numbers grow, and so does what is tagged again.
    """

    captions: Sequence[tuple[Caption, bool, int]]
    images: int
    complete: bool = True


class CaptionStore(Protocol):
    """Adds and searches captions, in the process that has the captions in use.

    Raises ``Transient`` if that process does not answer.
    """

    def teach(self, texts: Sequence[str], source: str, *, dry: bool = False) -> Lesson:
        """Add captions; the images that they concern are tagged again. ``dry``: only tell what would happen."""
        ...

    def search(self, text: str, limit: int) -> list[tuple[Caption, float]]:
        """The captions nearest to a text and their cosine similarity."""
        ...

    def remove_taught(self, caption: str) -> int:
        """Delete an added caption by its id. Raises ``NoSuchCaption``.

        Returns the number of images that it concerned; they are tagged again.
        """
        ...

    def version(self) -> str:
        """``name@version`` of the captions in use."""
        ...


@dataclass(frozen=True)
class Services:
    """The adapters. All except ``batching_writer`` block, so call them in threads.

    ``forget``: removes the records of objects at once, and ends their processing (``bucket/key``).
    ``inbox_readers``: of the normal and the low-priority inbox. ``captions_in_use``: ``name@version`` and the number
    of its captions. ``ignored_by``: the rule by which objects of a key are not tagged, see ``ObjectFilter``.
    """

    batching_writer: BatchingWriter
    records: Records
    progress: ProgressReader
    forget: Callable[[Sequence[str]], object]
    kept_lists: KeptLists
    inbox: EventInbox
    store: ObjectStore
    health: Health
    models_in_use: ModelBoard
    sources: Sources
    event_sink: EventSink
    keys: ApiKeys
    sessions: Sessions
    idempotency: Idempotency
    upload_slots: UploadSlots
    batches: Batches
    captions: CaptionStore
    finder: Finder
    dead_letters: DeadLetters
    receivers: Receivers
    segmentation_requests: SegmentationRequests
    statements: Statements
    teacher: Teacher
    duplicates: DuplicateFinder
    outages: OutageReport
    depths: DepthReader
    ledger_reader: LedgerReader
    inbox_readers: tuple[InboxReader, InboxReader]
    redis_servers: RedisServers
    captions_in_use: Callable[[], tuple[str, int]]
    holds: Holds
    data_loss: DataLoss
    losses: Losses
    refill: Refill
    images_standing: StoredStanding
    coverage: CoverageReader
    spellings: Spellings
    ignored_by: Callable[[str], str | None]
    decoders: Decoders
    free_space: FreeSpace
    drain: Drain
    clock: Callable[[], float]


@dataclass(frozen=True)
class Options:
    """The options. Sizes are in bytes.

    ``tokens``: the bearer tokens of the webhook. ``open``: requests to the loopback address need no key.
    ``admin_keys``: API keys with every scope, besides those in Redis. ``rates``: of requests,
    see ``RateLimits``. ``body_patience_s``: maximum seconds between two chunks of a body. ``recheck_s``: seconds
    after which the access of a response in progress is checked again. ``ping_s``: seconds between two signs of life
    of an event stream. ``segmentation_methods``: the available ones. ``root_path``: such as ``/tags``, below which a
    proxy publishes the gateway. ``trusted_proxies``: addresses and networks of proxies whose headers are believed.
    ``video``: whether videos are tagged. ``access_log``: whether requests are logged.
    """

    bucket: str
    tokens: Sequence[str] = ()
    open: bool = True
    admin_keys: Sequence[str] = ()
    upload_prefix: str = "uploads/"
    max_object_bytes: int = 64 * 2**20
    max_pixels: int = 150_000_000
    video: bool = False
    backlog_max: int = 10_000
    uploads_max: int = 32
    streams_max: int = 500
    body_patience_s: float = 30.0
    recheck_s: float = 4.0
    ping_s: float = 4.0
    rates: Rates = UNLIMITED
    cors_origins: Sequence[str] = ()
    flower: str | None = None
    root_path: str = ""
    trusted_proxies: Sequence[str] = ()
    access_log: bool = True
    segmentation_methods: Sequence[str] = ("dense", "regions")
