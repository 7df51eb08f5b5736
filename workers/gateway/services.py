"""What the gateway works with: adapters and choices, made by the composition root and handed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from vectordb.captions import Caption
from vectordb.errors import Permanent
from workers.dispatch.object_batches import Batches
from workers.events.sink import EventSink
from workers.events.sources import Sources
from workers.gateway.api_keys import ApiKeys
from workers.gateway.batching_writer import BatchingWriter
from workers.gateway.idempotency import Idempotency
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.progress import ProgressReader
from workers.lifecycle.record_reader import Records
from workers.notifying.dead_letters import DeadLetters
from workers.outages.outage_report import OutageReport
from workers.redis.heartbeats import Health
from workers.segmentation.requests import SegmentationRequests
from workers.stores.store import ObjectStore


class NoSuchCaption(Permanent):
    """No caption of this id was taught."""


class CaptionDesk(Protocol):
    """Teaches and searches the captions in use, in whichever process has them.

    Raises ``Transient`` when that is silent.
    """

    def teach(self, texts: Sequence[str], source: str) -> list[tuple[Caption, bool]]:
        """Add captions; each with whether it is new."""
        ...

    def search(self, text: str, limit: int) -> list[tuple[Caption, float]]:
        """The captions nearest to a text, with the cosine."""
        ...

    def take_back(self, caption: str) -> None:
        """Take a taught caption out, by its id. Raises ``NoSuchCaption``."""
        ...

    def version(self) -> str:
        """``name@version`` of the captions in use."""
        ...


@dataclass(frozen=True)
class Services:
    """The adapters. Except for the mailbox they block, and are called in threads."""

    batching_writer: BatchingWriter
    records: Records
    progress: ProgressReader
    inbox: Inbox
    store: ObjectStore
    health: Health
    sources: Sources
    event_sink: EventSink
    keys: ApiKeys
    idempotency: Idempotency
    batches: Batches
    captions: CaptionDesk
    dead_letters: DeadLetters
    segmentation_requests: SegmentationRequests
    outages: OutageReport
    clock: Callable[[], float]


@dataclass(frozen=True)
class Options:
    """The choices. Sizes in bytes.

    ``token``: what senders of bucket events show. ``open``: whoever reaches the gateway by the loopback address needs
    no key. ``admin_key``: one that is known from the start. ``rate``: requests a second and caller, ``None`` for any.
    ``body_patience_s``: how long the next piece of a body may take. ``methods``: those to segment that there are.
    """

    bucket: str
    token: str | None = None
    open: bool = True
    admin_key: str | None = None
    upload_prefix: str = "uploads/"
    max_object_bytes: int = 64 * 2**20
    max_pixels: int = 150_000_000
    backlog_max: int = 10_000
    uploads_max: int = 32
    streams_max: int = 500
    body_patience_s: float = 30.0
    rate: float | None = None
    cors_origins: Sequence[str] = ()
    flower: str | None = None
    segmentation_methods: Sequence[str] = ("dense", "regions")
