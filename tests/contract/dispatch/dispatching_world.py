"""A store, a ledger and a dispatcher with made-up queues."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tasks.message_parts import ObjectRef, Revision
from tasks.messages import Batch
from vectordb.errors import Transient
from workers.dispatch.dispatcher import Dispatcher
from workers.dispatch.event_filter import EventFilter
from workers.dispatch.keeper import Keeper
from workers.dispatch.pace import Pace
from workers.dispatch.removals import Holds, Limits, RemovalGuard
from workers.events.sink import EventSink
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.ledger import Ledger
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import Records
from workers.redis.connection import Client
from workers.redis.heartbeats import Health
from workers.redis.keys import Keys
from workers.segmentation.artifacts import Artifacts
from workers.segmentation.queue import SegmentQueue
from workers.stores.folder import FolderStore
from workers.stores.store import ObjectStore

REVISION = Revision("space", "captions@1")


@dataclass
class Queues:
    """Takes what is sent; refuses everything while ``away``."""

    sent: list[list[str]] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    refs: list[ObjectRef] = field(default_factory=list)
    revisions: list[Revision] = field(default_factory=list)
    probes: list[str] = field(default_factory=list)
    away: bool = False
    waiting: int = 0

    def queued(self, stage: str) -> int:  # noqa: ARG002 -- the Protocol's
        return self.waiting

    def send(self, stage: str, batch: Batch) -> None:
        if self.away:
            raise Transient("the broker is away")
        assert stage in {"embedding", "retrieval"}
        self.stages.append(stage)
        self.sent.append([ref.key for ref in batch.objects])
        self.refs.extend(batch.objects)
        self.revisions.append(batch.revision)

    def probe(self, stage: str, lifetime: float) -> None:  # noqa: ARG002 -- the Protocol's
        self.probes.append(stage)


@dataclass
class World:
    """One bucket, one Redis, one clock."""

    store: ObjectStore
    inbox: Inbox
    later: Inbox
    segments: SegmentQueue
    artifacts: Artifacts
    ledger: Ledger
    records: Records
    health: Health
    queues: Queues
    event_sink: EventSink
    events: EventFilter
    guard: RemovalGuard
    now: float = 1000.0
    revision: Revision = REVISION

    def dispatcher(self, *, batch_max: int = 3, in_flight_max: int = 100, batch_wait_ms: int = 5) -> Dispatcher:
        pace = Pace(batch_max, batch_wait_ms, in_flight_max, deadline_s=60)
        return Dispatcher(
            self.inbox, self.later, self.segments, self.ledger, self.store, self.artifacts, self.queues,
            self.event_sink, self.events, self.guard, lambda: self.revision,
            lambda key: not key.startswith("ignored/"), lambda _: "", pace, "me", lambda: self.now,
        )  # fmt: skip

    def keeper(self) -> Keeper:
        return Keeper(
            self.ledger, self.inbox, self.health, self.queues, lambda: self.revision, stages=("embedding",),
            deadline_s=60, max_attempts=2, give_up_s=3600, clock=lambda: self.now, store=self.store,
        )  # fmt: skip

    def put(self, key: str, data: bytes = b"x") -> ObjectRef:
        return self.store.put("inbox", key, io.BytesIO(data)).ref

    def finish(self, ref: ObjectRef) -> None:
        record = Record(
            bucket=ref.bucket, key=ref.key, etag=ref.etag, state="done",
            space_id=REVISION.space_id, captions_version=REVISION.captions_version,
        )  # fmt: skip
        assert self.ledger.finish([record], self.now) == [True]


@pytest.fixture
def world(client: Client, keys: Keys, tmp_path: Path) -> World:
    return made_of(client, keys, tmp_path)


def made_of(client: Client, keys: Keys, tmp_path: Path) -> World:
    """A world over this Redis."""
    (tmp_path / "inbox").mkdir()
    inbox, later, ledger = (
        Inbox(client, keys.inbox),
        Inbox(client, keys.low_priority_inbox),
        Ledger(client, keys, 100),
    )
    for stream in (inbox, later):
        stream.prepare()
    store = FolderStore({"inbox": tmp_path / "inbox"})
    event_sink = EventSink(client, keys)
    made = World(
        store, inbox, later, SegmentQueue(client, keys, ledger, 2, lambda: made.now),
        Artifacts(store, client, keys, ".wildtag/"), ledger, Records(client, keys),
        Health(client, keys, lambda: made.now), Queues(), event_sink,
        EventFilter(client, keys, event_sink, lambda: made.now),
        RemovalGuard(
            store, Records(client, keys), Holds(client, keys), client, keys, Limits(), lambda: made.now
        ),
    )  # fmt: skip
    return made


def created(ref: ObjectRef) -> ObjectEvent:
    return ObjectEvent("created", ref.bucket, ref.key, ref.etag)
