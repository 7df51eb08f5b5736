"""Inbox, dispatcher and keeper over a real Redis and a real folder; only the queues are recorded, not run."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import pytest
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig

from tasks.messages import Batch, ObjectRef, Revision
from tests.contract.sweeping import swept
from vectordb.errors import Transient
from workers.dispatch.dispatcher import Dispatcher, Pace
from workers.dispatch.event_filter import EventFilter
from workers.dispatch.keeper import Keeper
from workers.dispatch.removals import Holds, Limits, RemovalGuard
from workers.events.sink import EventSink
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import Records
from workers.redis.connection import Client
from workers.redis.heartbeats import Health
from workers.redis.keys import Keys
from workers.segmentation.artifacts import Artifacts
from workers.segmentation.queue import SegmentQueue
from workers.stores.folder import FolderStore
from workers.stores.lookup import SILENCES, THREADS
from workers.stores.s3 import S3Store
from workers.stores.store import ObjectForbidden, ObjectInfo, ObjectStore, StoreAway

REVISION = Revision("space", "captions@1")


@dataclass
class Queues:
    """Takes what is sent; refuses everything while ``away``."""

    sent: list[list[str]] = field(default_factory=list)
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
        assert stage == "embedding"
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

    def dispatcher(self, *, batch_max: int = 3, in_flight_max: int = 100) -> Dispatcher:
        pace = Pace(batch_max, 5, in_flight_max, deadline_s=60)
        return Dispatcher(
            self.inbox, self.later, self.segments, self.ledger, self.store, self.artifacts, self.queues,
            self.event_sink, self.events, self.guard, lambda: self.revision,
            lambda key: not key.startswith("ignored/"), lambda _: "", pace, "me", lambda: self.now,
        )  # fmt: skip

    def keeper(self) -> Keeper:
        return Keeper(
            self.ledger, self.inbox, self.health, self.queues, lambda: self.revision, stages=("embedding",),
            deadline_s=60, max_attempts=2, give_up_s=3600, clock=lambda: self.now,
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


def test_events_become_batches(world: World) -> None:
    refs = [world.put(f"{i}.jpg") for i in range(5)]
    world.inbox.append([created(ref) for ref in refs])
    assert world.dispatcher().step(block_ms=10) == 5
    assert world.queues.sent == [["0.jpg", "1.jpg", "2.jpg"], ["3.jpg", "4.jpg"]]
    assert world.ledger.in_flight() == 5
    assert world.records.counts()["inbox"] == 0


def test_repeated_and_contradicting_events(world: World) -> None:
    old, gone = world.put("a.jpg"), world.put("gone.jpg")
    new = world.put("a.jpg", b"newer")
    world.store.remove("inbox", "gone.jpg")
    world.inbox.append([
        created(old), created(new), created(new), created(gone), ObjectEvent("removed", "inbox", "gone.jpg"),
        ObjectEvent("removed", "inbox", "a.jpg"), ObjectEvent("created", "inbox", "never.jpg"),
    ])  # fmt: skip
    world.dispatcher(batch_max=7).step(block_ms=10)
    assert world.queues.sent == [["a.jpg"]]
    world.finish(new)
    world.inbox.append([created(new)])
    world.dispatcher().step(block_ms=10)
    assert len(world.queues.sent) == 1


def test_a_broker_that_is_away_loses_nothing(world: World) -> None:
    world.inbox.append([created(world.put("a.jpg"))])
    world.queues.away = True
    with pytest.raises(Transient):
        world.dispatcher().step(block_ms=10)
    world.queues.away = False
    assert world.dispatcher().recover(idle_ms=0) == 1
    assert world.queues.sent == [["a.jpg"]]
    assert world.dispatcher().recover(idle_ms=0) == 0


def test_no_more_is_sent_than_may_be_in_flight(world: World) -> None:
    refs = [world.put(f"{i}.jpg") for i in range(5)]
    world.inbox.append([created(ref) for ref in refs])
    dispatcher = world.dispatcher(in_flight_max=2)
    assert [dispatcher.step(block_ms=10), dispatcher.step(block_ms=10)] == [2, 0]
    world.finish(refs[0])
    assert dispatcher.step(block_ms=10) == 1
    assert world.ledger.in_flight() == 2


def test_junk_in_the_inbox_is_set_aside(world: World, client: Client, keys: Keys) -> None:
    client.xadd(keys.inbox, {"event": b"junk"})
    client.xadd(keys.inbox, {"other": b"field"})
    world.inbox.append([created(world.put("a.jpg"))])
    assert world.dispatcher().step(block_ms=10) == 1
    assert client.xlen(keys.inbox) == 0


def test_a_message_that_an_outage_of_redis_lost_is_sent_again_as_soon_as_the_queues_are_empty(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, done, drawn, postponed = (world.put(f"{name}.jpg") for name in ("lost", "done", "drawn", "postponed"))
    world.inbox.append([created(ref) for ref in (lost, done, drawn, postponed)])
    world.dispatcher(batch_max=4).step(block_ms=10)
    keeper = world.keeper()
    assert keeper.step() == 0
    world.ledger.advance([lost], REVISION, "retrieval", world.now + 60, now=world.now, begin=True)
    world.ledger.advance([drawn], REVISION, "segmentation", world.now + 60, now=world.now)
    world.ledger.postpone([postponed], REVISION, world.now + 30, "too many requests")
    world.finish(done)
    world.queues.sent.clear()
    with monkeypatch.context() as patched:
        patched.setattr(world.ledger, "server_run", lambda: "the next run")
        keeper.step()
        world.now += 1
        world.queues.waiting = 1  # what waits on a queue is not lost
        keeper.step()
        late = world.put("late.jpg")
        world.ledger.enter([Arrival(late)], REVISION, world.now, world.now + 60)
        assert world.queues.sent == []
        world.now += 1
        world.queues.waiting = 0
        keeper.step()
        assert world.queues.sent == [["lost.jpg"]]
        world.now += 1
        keeper.step()
        assert world.queues.sent == [["lost.jpg"]]  # once
    world.now = 1031  # what was postponed by 30 s is due
    assert [overdue.ref.id for overdue in world.ledger.overdue(world.now, world.now + 60)] == [postponed.id]


def test_the_keeper_sends_again_waits_and_gives_up(world: World) -> None:
    ref = world.put("a.jpg")
    world.inbox.append([created(ref)])
    world.dispatcher().step(block_ms=10)
    keeper = world.keeper()

    world.now += 61  # nobody has ever consumed the queue: it is not the object's fault
    assert keeper.step() == 1
    assert (len(world.queues.sent), world.queues.probes) == (1, ["embedding"])

    world.health.beat("embedding")
    world.now += 59
    world.health.beat("embedding")
    world.now += 2
    assert keeper.step() == 1
    assert world.queues.sent == [["a.jpg"], ["a.jpg"]]

    for _ in range(2):
        world.ledger.advance([ref], REVISION, "embedding", world.now + 60, now=world.now, begin=True)
    world.now += 61
    world.health.beat("embedding")
    keeper.step()
    (record,) = world.records.latest()
    assert record.state == "dead"
    assert record.error is not None
    assert record.error.code == "poisonous"
    assert keeper.step() == 0


def test_what_the_store_does_not_answer_for_holds_nobody_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = world.store.stat

    def sometimes(bucket: str, key: str) -> ObjectInfo | None:
        if key == "broken.jpg":
            raise StoreAway("503")
        return stat(bucket, key)

    monkeypatch.setattr(world.store, "stat", sometimes)
    world.now = time.time()
    world.inbox.append([ObjectEvent("removed", "inbox", "broken.jpg"), created(world.put("good.jpg"))])
    assert world.dispatcher().step(block_ms=10) == 2
    assert world.queues.sent == [["good.jpg"]]
    assert world.records.counts()["inbox"] == 1
    assert world.dispatcher().recover(idle_ms=0) == 1  # it is looked at again, and put off again
    world.now += 86_500
    world.dispatcher().recover(idle_ms=0)
    assert world.records.counts()["inbox"] == 0


def test_what_a_silent_store_was_not_asked_is_not_given_up_however_old_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(bucket: str, key: str) -> ObjectInfo | None:
        raise StoreAway(f"no answer for {bucket}/{key}")

    monkeypatch.setattr(world.store, "stat", silent)
    world.inbox.append([ObjectEvent("removed", "inbox", f"{number}.jpg") for number in range(40)])
    world.now = time.time() + 86_500
    world.dispatcher().step(block_ms=10)
    assert 40 - SILENCES - THREADS < world.records.counts()["inbox"] <= 40 - SILENCES


def test_removals_that_the_store_gives_no_word_of_are_counted_and_cost_no_record(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(bucket: str, key: str) -> ObjectInfo | None:
        raise ObjectForbidden(f"403 for {bucket}/{key}")

    refs = [world.put(f"{number}.jpg") for number in range(3)]
    world.inbox.append([created(ref) for ref in refs])
    world.dispatcher().step(block_ms=10)
    for ref in refs:
        world.finish(ref)
    monkeypatch.setattr(world.store, "stat", forbidden)
    world.inbox.append([ObjectEvent("removed", "inbox", ref.key) for ref in refs])
    world.inbox.append([ObjectEvent("created", "inbox", "no etag.jpg")])
    world.dispatcher().step(block_ms=10)
    assert world.event_sink.counts() == {"dispatcher:removals-unverified": 3}
    assert world.records.counts()["done"] == 3
    assert world.records.counts()["inbox"] == 0


def test_what_is_not_followed_is_not_tagged_whatever_tells_of_it(world: World) -> None:
    world.inbox.append([created(world.put("ignored/a.jpg")), ObjectEvent("removed", "inbox", "ignored/a.jpg")])
    world.dispatcher().step(block_ms=10)
    assert world.queues.sent == []
    assert world.ledger.in_flight() == 0


def test_what_is_tagged_again_waits_for_what_is_new(world: World) -> None:
    old = [world.put(f"old{number}.jpg") for number in range(3)]
    world.later.append([ObjectEvent("created", "inbox", ref.key, force=True) for ref in old])
    world.inbox.append([created(world.put("new.jpg"))])
    dispatcher = world.dispatcher(batch_max=2)
    assert [dispatcher.step(block_ms=10), dispatcher.step(block_ms=10)] == [1, 2]
    assert world.queues.sent == [["new.jpg"], ["old0.jpg", "old1.jpg"]]
    world.put("newer.jpg")
    for _ in range(3):
        dispatcher.step(block_ms=10)
    assert world.later.length() == 0 or world.ledger.in_flight() >= 4


def test_a_switch_of_captions_reaches_what_comes_and_not_what_is_on_its_way(world: World) -> None:
    dispatcher, keeper = world.dispatcher(), world.keeper()
    before, after = world.put("before.jpg"), world.put("after.jpg")
    world.inbox.append([created(before)])
    dispatcher.step(block_ms=10)
    world.revision = Revision("space", "captions@2")
    world.inbox.append([created(before), created(after)])
    dispatcher.step(block_ms=10)
    assert world.queues.sent == [["before.jpg"], ["after.jpg"]]
    assert world.queues.revisions == [REVISION, world.revision]
    world.health.beat("embedding")
    world.now += 61
    world.health.beat("embedding")
    keeper.step()  # each is sent again with the captions it began with
    assert dict(zip(map(str, world.queues.sent[2:]), world.queues.revisions[2:], strict=True)) == {
        "['before.jpg']": REVISION, "['after.jpg']": world.revision,
    }  # fmt: skip


def test_another_encoder_begins_anew_what_is_on_its_way(world: World) -> None:
    dispatcher, keeper = world.dispatcher(), world.keeper()
    world.inbox.append([created(world.put("a.jpg"))])
    dispatcher.step(block_ms=10)
    world.revision = Revision("another", "captions@1")
    world.now += 61
    world.health.beat("embedding")
    keeper.step()
    dispatcher.step(block_ms=10)
    assert world.queues.revisions == [REVISION, world.revision]


def test_of_the_versions_of_an_object_the_current_one_counts_whatever_is_told_when(
    world: World, s3: S3Store, bucket: str
) -> None:
    client = s3.connection.client
    client.set_bucket_versioning(bucket, VersioningConfig(ENABLED))
    world = replace(world, store=s3)
    dispatcher = world.dispatcher(batch_max=1)
    oldest, older, newest = (s3.put(bucket, "a.jpg", io.BytesIO(data)).ref for data in (b"1", b"22", b"333"))

    def dispatched(kind: Literal["created", "removed"], ref: ObjectRef, sequence: int) -> list[str]:
        """The etags of what is sent for it."""
        event = ObjectEvent(
            kind, bucket, ref.key, ref.etag if kind == "created" else "", version_id=ref.version_id,
            sequence=f"{sequence:032x}",
        )  # fmt: skip
        world.inbox.append([event])
        before = len(world.queues.refs)
        dispatcher.step(block_ms=10)
        return [sent.etag for sent in world.queues.refs[before:]]

    def recorded() -> list[str]:
        return [record.etag for record in world.records.latest()]

    assert dispatched("created", newest, 3) == [newest.etag]
    assert dispatched("created", older, 2) == []  # while the newer is on its way …
    world.finish(newest)
    assert dispatched("created", oldest, 1) == []  # … and when it is tagged
    assert recorded() == [newest.etag]

    s3.remove(bucket, "a.jpg")
    assert dispatched("removed", newest, 4) == []
    assert recorded() == []
    (marker,) = (f for f in client.list_objects(bucket, include_version=True) if f.is_delete_marker)
    client.remove_object(bucket, "a.jpg", marker.version_id)
    assert dispatched("removed", newest, 5) == [newest.etag]  # it is back
    world.finish(newest)

    client.remove_object(bucket, "a.jpg", oldest.version_id)
    assert dispatched("removed", oldest, 6) == []
    assert recorded() == [newest.etag]
    client.remove_object(bucket, "a.jpg", newest.version_id)
    assert dispatched("removed", newest, 7) == [older.etag]  # the next older is the current one
    world.finish(older)
    assert recorded() == [older.etag]
    client.remove_object(bucket, "a.jpg", older.version_id)
    assert dispatched("removed", older, 8) == []
    assert (recorded(), world.ledger.in_flight()) == ([], 0)


def test_the_sweep_finds_what_events_missed(world: World, client: Client, keys: Keys) -> None:
    kept, changed, gone = world.put("kept.jpg"), world.put("changed.jpg"), world.put("gone.jpg")
    world.inbox.append([created(ref) for ref in (kept, changed, gone)])
    world.dispatcher().step(block_ms=10)
    for ref in (kept, changed, gone):
        world.finish(ref)
    world.put("changed.jpg", b"other bytes")
    world.store.remove("inbox", "gone.jpg")
    world.put("new.jpg")
    world.queues.sent.clear()

    found = swept(world.store, "inbox", client, keys)
    assert (found.seen, found.sent, found.gone) == (3, 2, 1)
    world.dispatcher(batch_max=5).step(block_ms=10)
    assert [sorted(batch) for batch in world.queues.sent] == [["changed.jpg", "new.jpg"]]
    assert {record.key for record in world.records.latest()} == {"changed.jpg", "kept.jpg"}
