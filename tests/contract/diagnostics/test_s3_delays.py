"""What ``wildtag s3 doctor`` says of each way of events, and what it does for who may only read and list."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pytest

from tasks.message_parts import ObjectRef, Revision, UserMetadata
from workers.cli.s3 import _trace
from workers.diagnostics.check import Check
from workers.diagnostics.s3_delays import SourceDelays
from workers.diagnostics.s3_existing import ExistingObject, newest
from workers.diagnostics.s3_probe import Probe, ProbeForm
from workers.diagnostics.s3_trail import Stack
from workers.events.notification import Notification
from workers.events.sink import PROBE, EventSink, received_events
from workers.events.sources import EventProbes, Sources, State
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import EventInbox, Inbox
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import Records
from workers.redis.connection import Client
from workers.redis.heartbeats import Health
from workers.redis.keys import Keys
from workers.stores.folder import FolderStore
from workers.stores.object_filter import ObjectFilter
from workers.stores.s3_notification import Entry
from workers.stores.store import ObjectForbidden, ObjectInfo

REVISION = Revision("space", "captions")
BUCKET = "photos"
WEBHOOK = Entry("arn:minio:sqs::WILDTAG:webhook")


class ReadOnly(FolderStore):
    """A key pair that may read and list."""

    def put(self, *_: object, **__: object) -> ObjectInfo:
        raise ObjectForbidden("the access key 'reader' may not read or change this object: AccessDenied")


@pytest.fixture
def stack(client: Client, keys: Keys) -> Stack:
    inbox = Inbox(client, keys.inbox)
    inbox.prepare()
    return Stack(Records(client, keys), inbox, Health(client, keys, time.time), wait_s=10)


@pytest.fixture
def sources(client: Client, keys: Keys) -> Sources:
    return Sources(client, keys, time.time)


@contextmanager
def tagging(client: Client, keys: Keys, inbox: EventInbox) -> Iterator[None]:
    """Stands for dispatcher and stages: whatever the inbox holds has its record at once."""
    ledger, over = Ledger(client, keys, 100), threading.Event()

    def turn() -> None:
        while not over.is_set():
            for entry, event in inbox.read("me", 10, 10):
                ref = ObjectRef(event.bucket, event.key, event.etag)
                if event.kind == "created":
                    now = time.time()
                    ledger.enter([Arrival(ref, verified=True, force=event.force)], REVISION, now, now + 60)
                    record = Record(
                        bucket=ref.bucket, key=ref.key, etag=ref.etag, state="done", space_id=REVISION.space_id,
                        captions_version=REVISION.captions_version, finished_at=time.time(),
                    )  # fmt: skip
                    ledger.finish([record], time.time())
                inbox.done([entry])

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)


class Telling(FolderStore):
    """A bucket whose server uses several sources, each so many seconds after the upload."""

    def __init__(self, root: Any, event_sink: EventSink, **delays: float) -> None:
        super().__init__({BUCKET: root})
        self._event_sink = event_sink
        self._delays = delays

    def put(
        self,
        bucket: str,
        key: str,
        data: BinaryIO,
        content_type: str | None = None,
        user_metadata: UserMetadata | None = None,
    ) -> ObjectInfo:
        info = super().put(bucket, key, data, content_type, user_metadata)
        for source, delay in self._delays.items():
            notification = Notification((ObjectEvent.seen(info),))
            threading.Timer(delay, self._event_sink.store, [[received_events(source, notification, b"")]]).start()
        return info


def checks(found: Iterator[Check]) -> dict[str, Check]:
    return {check.name: check for check in found}


def test_each_way_is_measured_and_a_slow_one_explained(
    client: Client, keys: Keys, stack: Stack, sources: Sources, tmp_path: Any
) -> None:
    store = Telling(tmp_path, EventSink(client, keys), webhook=1.4, listen=0.05)
    sources.note("listen", "working")
    sources.note("sweep", "working")
    delays = SourceDelays(sources, EventProbes(client, keys), [WEBHOOK], patience_s=8)
    with tagging(client, keys, stack.inbox):
        found = checks(Probe(store, stack, delays, BUCKET, ProbeForm()).follow())
    assert list(found) == ["stored", "sweep", "event", "record", "listen", "webhook"]
    assert found["listen"].ok
    assert found["webhook"].ok is None
    assert 1.2 < float(found["webhook"].detail.removesuffix(" s").rpartition(" ")[2]) < 3
    assert "every 3 s" in found["webhook"].remedy
    assert "ended 0 s ago" in found["sweep"].detail


def test_a_way_that_tells_nothing_is_named(
    client: Client, keys: Keys, stack: Stack, sources: Sources, tmp_path: Any
) -> None:
    store = Telling(tmp_path, EventSink(client, keys), listen=0.0)
    targets = [WEBHOOK, Entry("arn:minio:sqs::WILDTAG:redis"), Entry("arn:aws:sqs:r:1:x")]
    delays = SourceDelays(sources, EventProbes(client, keys), targets, patience_s=0.5)
    with tagging(client, keys, stack.inbox):
        found = checks(Probe(store, stack, delays, BUCKET, ProbeForm()).follow())
    assert found["record"].ok
    assert [found[name].ok for name in ("listen", "redis", "webhook")] == [True, None, None]
    assert "the gateway" in found["webhook"].remedy
    assert "WILDTAG_REDIS_TARGET_URL" in found["redis"].remedy


@pytest.mark.parametrize(
    ("state", "says"),
    [("deaf", "--at-once"), ("refused", "wildtag s3 setup"), ("away", "retried")],
)
def test_a_listener_that_does_not_work_is_named(
    client: Client, keys: Keys, sources: Sources, state: State, says: str
) -> None:
    sources.note("listen", state, "because")
    (listen,) = SourceDelays(sources, EventProbes(client, keys), [], patience_s=1).conditions()
    assert (listen.name, listen.ok) == ("listen", None)
    assert "because" in listen.detail
    assert says in listen.remedy


def test_nobody_listens(client: Client, keys: Keys, sources: Sources) -> None:
    sources.note("sweep", "working")
    listen, _ = SourceDelays(sources, EventProbes(client, keys), [WEBHOOK], patience_s=1).conditions()
    assert "WILDTAG_LISTEN" in listen.remedy


@pytest.mark.parametrize("listen", [None, "refused"])
def test_a_bucket_that_only_the_sweep_watches_is_noted(
    client: Client, keys: Keys, sources: Sources, listen: State | None
) -> None:
    sources.note("sweep", "working")
    if listen is not None:
        sources.note("listen", listen, "because")
    found = checks(SourceDelays(sources, EventProbes(client, keys), [], patience_s=1).conditions())
    assert found["sources"].ok is None
    assert "only by the periodic sweep" in found["sources"].detail
    assert "wildtag s3 setup" in found["sources"].remedy
    found = checks(SourceDelays(sources, EventProbes(client, keys), [WEBHOOK], patience_s=1).conditions())
    assert "sources" not in found


@pytest.mark.parametrize("key", [None, "b.png"])
def test_who_may_only_read_follows_what_is_there(
    client: Client, keys: Keys, stack: Stack, sources: Sources, tmp_path: Any, key: str | None
) -> None:
    for name in ("a.png", "b.png", "c.txt"):
        (tmp_path / name).write_bytes(b"x")
    store = ReadOnly({BUCKET: tmp_path})
    delays = SourceDelays(sources, EventProbes(client, keys), [WEBHOOK], patience_s=0.5)
    existing = ExistingObject(store, stack, delays, BUCKET, ObjectFilter(), key)
    with tagging(client, keys, stack.inbox):
        followed = (
            existing.follow("it was named") if key else
            _trace(Probe(store, stack, delays, BUCKET, ProbeForm()), existing)
        )  # fmt: skip
        found = checks(followed)
        again = checks(existing.follow("again"))  # what has a record gets another one
    assert list(found) == list(again) == ["not tested", "object", "event", "record"]
    assert all(check.ok is not False for check in found.values())
    assert "uploading and removing an object" in found["not tested"].detail
    assert (key or "b.png") in found["object"].detail
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png", "c.txt"]


@pytest.mark.parametrize(("key", "says"), [(None, "no small image"), ("gone.png", "gone.png")])
def test_there_is_nothing_to_follow(
    client: Client, keys: Keys, stack: Stack, sources: Sources, tmp_path: Any, key: str | None, says: str
) -> None:
    delays = SourceDelays(sources, EventProbes(client, keys), [], patience_s=0.5)
    *_, last = ExistingObject(ReadOnly({BUCKET: tmp_path}), stack, delays, BUCKET, ObjectFilter(), key).follow(
        "why not"
    )
    assert last.ok is False
    assert says in last.detail
    assert "--key" in last.remedy


def test_the_newest_small_image_is_chosen(tmp_path: Any) -> None:
    import os  # noqa: PLC0415 -- only here

    files = {"new.txt": 1, "empty.png": 0, "ignored.png": 3, "b.JPG": 3, "a.png": 3}
    for age, (name, size) in enumerate(files.items()):
        (tmp_path / name).write_bytes(b"x" * size)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    store = FolderStore({BUCKET: tmp_path})
    info = newest(store, BUCKET, ObjectFilter(ignored_prefixes=["ignored"]))
    assert info is not None
    assert info.ref.key == "b.JPG"


def test_only_probes_are_noted(client: Client, keys: Keys) -> None:
    event_sink, event_probes = EventSink(client, keys), EventProbes(client, keys)
    events = tuple(ObjectEvent("created", BUCKET, key) for key in (f"in/{PROBE}1.png", "other.png"))
    before = event_probes.now()
    event_sink.store([received_events("webhook", Notification(events), b"")])
    event_sink.store([received_events("webhook", Notification(events), b"")])
    assert client.xlen(keys.event_probes) == 2
    assert list(event_probes.of(f"{BUCKET}/in/{PROBE}1.png")) == ["webhook"]
    assert before - 0.01 <= event_probes.of(f"{BUCKET}/in/{PROBE}1.png")["webhook"] <= event_probes.now()


def test_a_state_keeps_its_beginning_until_there_is_another(client: Client, keys: Keys) -> None:
    now = 100.0
    sources = Sources(client, keys, lambda: now)
    sources.note("listen", "deaf", "a")
    now = 160.0
    sources.note("listen", "deaf", "b")
    condition = sources.conditions()["listen"]
    assert (condition.since, condition.at, condition.reason) == (100.0, 160.0, "b")
    sources.note("listen", "working")
    assert sources.conditions()["listen"].since == 160.0
    sources.forget("listen")
    assert sources.conditions() == {}


def test_a_source_whose_process_has_ended_is_away(client: Client, keys: Keys) -> None:
    """Killed, it could not say so: its last word does not count for ever."""
    now = 100.0
    sources = Sources(client, keys, lambda: now)
    sources.note("listen", "working", lasts_s=60)
    sources.note("sweep", "working")
    now = 159.0
    assert sources.conditions()["listen"].state == "working"
    now = 161.0
    assert (sources.conditions()["listen"].state, sources.conditions()["listen"].since) == ("away", 100.0)
    assert sources.conditions()["sweep"].state == "working"
