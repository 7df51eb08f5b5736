"""Whatever a notification says and an S3 server answers, it ends in a counted, logged, explained outcome.

From the notification over the inbox, the dispatcher and the embedding stage to the record, over a real Redis; the
queues are run in this process, and the stages after the embedding are taken as done. ``settle`` fails when anything
goes on for ever.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig
from structlog.testing import capture_logs

from tasks.message_parts import place_of
from tasks.messages import Batch
from tests.contract.queues import Queues
from tests.contract.real_servers import key_pair
from tests.contract.s3_server import Answer, made_up, refusal
from tests.contract.sweeping import swept
from tests.unit.events.samples import BUCKET, body, record
from tests.unit.stages.made_up import SPACE, MadeUpImages, picture
from workers.events.notification import LARGEST, webhook
from workers.events.sink import received_events
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.record import Error, Record
from workers.redis.connection import Client
from workers.settings.settings import STAGES, Settings
from workers.stages.handover import ANNOUNCED_S
from workers.stores.s3 import S3Store
from workers.wiring.dispatch import dispatcher, keeper
from workers.wiring.stages import stage_worker
from workers.wiring.wiring import Wiring

GIVE_UP_S = 3600.0
LIMIT = 10_000
IMAGE = picture((200, 60, 40))
ETAG = "0" * 32


@dataclass
class World:
    """One process with all that a notification goes through. ``now``: Unix seconds."""

    settings: Settings
    now: float = 1_800_000_000.0
    logged: list[MutableMapping[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wiring = wiring = Wiring(self.settings, lambda: self.now)
        self.queues = wiring.publisher = Queues()
        wiring.image_encoder, wiring.space, wiring.chosen = MadeUpImages(), SPACE, lambda: "captions@1"
        self.stages = stage_worker(wiring).runner
        self.dispatcher, self.keeper = dispatcher(wiring, "me"), keeper(wiring)
        wiring.inbox.prepare()
        wiring.low_priority_inbox.prepare()

    def notify(self, data: bytes) -> None:
        """What the gateway does with the body of a POST."""
        self.wiring.event_sink.store([received_events("webhook", webhook(data, self.settings.bucket), data)])

    def notify_of(self, key: str, etag: str = ETAG, **more: Any) -> None:
        self.notify(body(record(key=key, bucket=self.settings.bucket, eTag=etag, **more)))

    def settle(self) -> None:
        """Until nothing is to be done at once."""
        with capture_logs() as logged:
            for _ in range(50):
                self.dispatcher.step(1)
                if not self.queues.sent and not self.wiring.inbox.length():
                    self.logged += logged
                    return
                while self.queues.sent:
                    self._work(*self.queues.sent.pop(0))
        raise AssertionError(f"it goes on for ever: {logged}")

    def later(self, seconds: float) -> None:
        """The keeper's look when so much time has passed, and what follows."""
        self.now += seconds
        for stage in STAGES:
            self.wiring.health.beat(stage)
        with capture_logs() as logged:
            self.keeper.step()
        self.logged += logged
        self.settle()

    def sweep(self) -> int:
        """What a sweep finds to be tagged."""
        return swept(self.wiring.store, self.settings.bucket, self.wiring.redis, self.wiring.keys).sent

    def records(self) -> dict[str, Record]:
        return {found.key: found for found in self.wiring.records.latest()}

    def error(self, key: str) -> tuple[str, Error]:
        """The state of an object without tags, and why."""
        found = self.records()[key]
        assert found.error is not None
        assert self.wiring.records.counts()[found.state] == 1
        return found.state, found.error

    def waiting(self) -> list[tuple[str, int, str]]:
        return [(place_of(p.oid)[1], p.attempts, p.fault or "") for p in self.wiring.records.pending()]

    def events(self) -> list[str]:
        """The names of what was logged."""
        return [line["event"] for line in self.logged]

    def _work(self, stage: str, batch: Batch, retries: int) -> None:
        if stage == "embedding":
            self.stages.run(stage, batch.encode(), retries)
        else:
            self.wiring.ledger.finish([
                Record(bucket=r.bucket, key=r.key, etag=r.etag, version_id=r.version_id, state="done",
                       space_id=batch.revision.space_id, captions_version=batch.revision.captions_version)
                for r in batch.objects
            ], self.now)  # fmt: skip


Make = Callable[..., World]


@pytest.fixture
def make(redis_url: str, client: Client, bucket: str) -> Make:  # noqa: ARG001 -- empties Redis
    """Makes a world over an S3 server."""

    def made(endpoint: str, **settings: object) -> World:
        access_key, secret_key = key_pair(endpoint)
        given = {
            "redis_url": redis_url, "key_prefix": "test:", "bucket": bucket, "s3_endpoint": endpoint,
            "s3_access_key": access_key, "s3_secret_key": secret_key, "max_object_bytes": LIMIT,
            "give_up_s": GIVE_UP_S, **settings,
        }  # fmt: skip
        return World(Settings.model_validate(given))

    return made


@pytest.fixture
def store(s3: S3Store) -> S3Store:
    return s3


@pytest.fixture
def world(make: Make, store: S3Store) -> World:
    return make(store.connection.options.endpoint)


def put(store: S3Store, world: World, key: str, data: bytes = IMAGE, kind: str = "image/png") -> str:
    return store.put(world.settings.bucket, key, io.BytesIO(data), kind).ref.etag


# -- notifications


@pytest.mark.parametrize(
    "data",
    [
        b"no json", b"", b"\xff\xfe", b"x" * (LARGEST + 1), b"[" * 100_000, b'{"Records":[' + b"[" * 5000,
        b'{"Records":[{"eventName":"s3:ObjectCreated:Put"}]}', b'{"Records":[{"s3":{}}]}', b'{"Records":"none"}',
        body(record(key="x" * 1025)), body(record(key="")), body(record(size=-1)),
    ],
    ids=["no-json", "empty", "no-utf8", "huge", "nested", "nested-records", "no-object", "no-name", "no-list",
         "key-of-1025-bytes", "no-key", "negative"],
)  # fmt: skip
def test_what_cannot_be_read_is_set_aside(world: World, data: bytes) -> None:
    data = data.replace(BUCKET.encode(), world.settings.bucket.encode())
    with capture_logs() as logged:
        world.notify(data)
    assert world.wiring.event_sink.counts() == {"webhook:rejected": 1}
    (aside,) = world.wiring.event_sink.rejected()
    assert aside.rejected.reason
    assert aside.rejected.size == len(data)
    assert [line["event"] for line in logged] == ["notification rejected"]
    world.settle()
    assert world.records() == {}


def test_what_is_more_than_needed_is_passed_over(world: World, store: S3Store) -> None:
    etag = put(store, world, "a.png")
    extended = record(
        key="a.png", bucket=world.settings.bucket, eTag=etag, extra={"deep": [[]]}, userMetadata={"x": "y"}
    )
    world.notify(body(extended | {"more": 1}, record(key="b.png", bucket="other")))
    world.settle()
    assert world.wiring.event_sink.counts() == {"webhook:events": 1, "webhook:ignored:other-bucket": 1}
    assert {key: found.state for key, found in world.records().items()} == {"a.png": "done"}


def test_a_key_of_1024_bytes_goes_the_whole_way(world: World, store: S3Store) -> None:
    key = "é/" + "k" * 1021
    assert len(key.encode()) == 1024
    world.notify_of(key, put(store, world, key))
    world.settle()
    assert world.records()[key].state == "done"
    assert world.sweep() == 0


# -- what is fetched


def test_an_object_that_is_gone_before_it_is_fetched_leaves_nothing_but_a_line(world: World) -> None:
    world.notify_of("a.png")
    world.settle()
    assert (world.records(), world.wiring.ledger.in_flight()) == ({}, 0)
    assert world.events().count("gone") == 1


@pytest.mark.parametrize("overwritten", [True, False], ids=["overwritten", "gone"])
def test_an_object_whose_event_waits_long_is_never_blamed(world: World, store: S3Store, *, overwritten: bool) -> None:
    world.notify_of("a.png")
    if overwritten:
        put(store, world, "a.png", IMAGE)
    world.dispatcher.step(1)
    for _ in range(world.settings.max_attempts + 2):  # the dispatcher is far behind with its inbox
        while world.queues.sent:
            world._work(*world.queues.sent.pop(0))
        world.now += ANNOUNCED_S + 2
        for stage in STAGES:
            world.wiring.health.beat(stage)
        world.keeper.step()
    ((key, attempts, fault),) = world.waiting()
    assert (key, attempts) == ("a.png", 0)
    assert "its event waits" in fault
    assert world.records() == {}
    world.settle()
    assert world.waiting() == []
    assert [one.state for one in world.records().values()] == (["done"] if overwritten else [])


def test_an_object_whose_event_is_left_out_is_given_up_in_the_end(
    world: World, store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.notify_of("a.png")
    put(store, world, "a.png", IMAGE)
    world.dispatcher.step(1)
    monkeypatch.setattr(world.dispatcher, "_followed", lambda _: False)  # from now on, by the settings
    for _ in range(int(GIVE_UP_S / ANNOUNCED_S) + 2):
        world.settle()
        world.later(ANNOUNCED_S + 2)
    assert world.waiting() == []
    state, error = world.error("a.png")
    assert (state, error.code) == ("dead", "gave-up")
    assert "its event waits" in error.reason


def test_an_object_above_the_limit_has_failed(world: World, store: S3Store) -> None:
    etag = put(store, world, "a.png", b"x" * (LIMIT + 1))
    world.notify_of("a.png", etag)
    world.settle()
    assert world.error("a.png") == ("failed", Error("too-large", "10,001 bytes; the limit is 10,000"))
    assert "failed" in world.events()
    assert world.sweep() == 0


def test_what_is_no_image_has_failed(world: World, store: S3Store) -> None:
    world.notify_of("a.png", put(store, world, "a.png", b"no image"))
    world.settle()
    assert world.error("a.png")[0] == "failed"
    assert world.sweep() == 0


@pytest.mark.parametrize("data", [IMAGE, b"x" * (LIMIT + 1)], ids=["fine", "too-large"])
def test_the_record_is_of_the_version_that_was_met(world: World, store: S3Store, data: bytes) -> None:
    """The etag changes between the event and the fetch; of a fault, too, it is the one of the bytes."""
    world.notify_of("a.png", put(store, world, "a.png", picture((1, 2, 3))))
    etag = put(store, world, "a.png", data)
    world.settle()
    assert world.records()["a.png"].etag == etag
    assert world.records()["a.png"].state == ("done" if data == IMAGE else "failed")
    assert world.events().count("overwritten") == 1
    assert world.sweep() == 0


def test_a_swept_object_of_a_versioned_bucket_has_its_version(world: World, store: S3Store) -> None:
    store.connection.client.set_bucket_versioning(world.settings.bucket, VersioningConfig(ENABLED))
    keys = {"good.png": IMAGE, "bad.png": b"no image", "large.png": b"x" * (LIMIT + 1)}
    refs = {key: store.put(world.settings.bucket, key, io.BytesIO(data)).ref for key, data in keys.items()}
    assert world.sweep() == 3
    world.settle()
    assert {key: found.version_id for key, found in world.records().items()} == {
        key: ref.version_id for key, ref in refs.items()
    }
    assert all(ref.version_id for ref in refs.values())


# -- what is not followed


def test_a_type_that_is_not_followed_is_skipped_and_looked_at_again_when_it_changes(
    make: Make, store: S3Store
) -> None:
    endpoint = store.connection.options.endpoint
    world = make(endpoint, follow_types=("image/*",), ignore_types=("image/svg+xml",))
    for key, kind in {"a.mp4": "video/mp4", "b.svg": "image/svg+xml", "c.png": "image/png"}.items():
        world.notify_of(key, put(store, world, key, b"x" * (LIMIT + 1) if key == "a.mp4" else IMAGE, kind))
    world.settle()
    assert {key: found.state for key, found in world.records().items()} == {
        "a.mp4": "skipped", "b.svg": "skipped", "c.png": "done",
    }  # fmt: skip
    skipped = world.records()["a.mp4"].error
    assert skipped == Error("not-followed", "objects of type video/mp4 are not followed")
    counts = world.wiring.records.counts()
    assert (counts["skipped"], counts["failed"], counts["in_flight"]) == (2, 0, 0)
    assert world.events().count("skipped") == 2
    assert world.sweep() == 0, "no sweep reports it again"

    put(store, world, "b.svg", picture((9, 9, 9)), "image/png")
    assert world.sweep() == 1
    world.settle()
    assert world.records()["b.svg"].state == "done"

    after = make(endpoint, follow_types=("image/*", "video/*"))  # the settings were changed
    assert after.sweep() == 0
    after.wiring.low_priority_inbox.append(
        [ObjectEvent("created", after.settings.bucket, "a.mp4", force=True)]
    )  # wildtag retag
    after.settle()
    after.settle()
    state, error = after.error("a.mp4")
    assert (state, error.code) == ("skipped", "not-an-image")  # by its name, since it is too large to be read
    assert "too large" in error.reason


# -- a server that says one thing and another


@dataclass
class Cached:
    """An S3 server behind a cache: what HEAD says, and what GET gives; ``None``: there is no such object."""

    head: str | None
    get: str | None

    def answer(self, method: str, path: str) -> Answer:
        if path.count("/") < 2 or path.endswith("/"):
            return Answer()  # the bucket is there
        etag = self.head if method == "HEAD" else self.get
        if etag is None:
            return Answer(404, refusal("NoSuchKey"))
        return Answer(200, IMAGE, {"ETag": f'"{etag}"', "Content-Type": "image/png"})


@pytest.mark.parametrize(
    ("get", "says"),
    [(None, "HEAD returns the version new, GET returns no object"), ("old", "GET returns the version old")],
)
def test_while_head_and_get_disagree_an_object_waits(make: Make, get: str | None, says: str) -> None:
    cached = Cached("new", get)
    with made_up(cached.answer) as server:
        world = make(server.url, max_attempts=2)
        world.notify_of("a.png", "new")
        world.settle()
        for _ in range(5):  # more often than it may be begun
            ((key, attempts, fault),) = world.waiting()
            assert (key, attempts) == ("a.png", 0)
            assert fault.startswith("HEAD and GET disagree: ")
            assert says in fault
            world.later(31)
        assert "disagreement" in world.events()
        assert world.records() == {}
        cached.get = "new"
        world.later(31)
        assert world.records()["a.png"].state == "done"


def test_a_disagreement_that_does_not_pass_is_given_up_with_its_reason(make: Make) -> None:
    with made_up(Cached("new", "old").answer) as server:
        world = make(server.url)
        world.notify_of("a.png", "new")
        world.settle()
        world.later(GIVE_UP_S + 1)
        state, error = world.error("a.png")
        assert (state, error.code) == ("dead", "gave-up")
        assert "HEAD and GET disagree" in error.reason
        assert world.wiring.ledger.in_flight() == 0
        assert world.records()["a.png"].etag == "new", "so that no sweep reports it again"


# -- a server that refuses


REFUSALS = [
    (403, "InvalidAccessKeyId", "AKIATEST"),
    (403, "SignatureDoesNotMatch", "AKIATEST"),
    (403, "RequestTimeTooSkewed", "clocks"),
    (400, "ExpiredToken", "AKIATEST"),
    (404, "NoSuchBucket", "no bucket"),
]


@dataclass
class Refusing:
    """A server that answers everything alike, until the fault is mended: then it holds one image."""

    status: int
    code: str
    mended: bool = False

    def answer(self, method: str, path: str) -> Answer:
        if self.mended:
            return Cached(ETAG, ETAG).answer(method, path)
        return Answer(self.status, refusal(self.code))


@pytest.mark.parametrize(("status", "code", "says"), REFUSALS)
def test_what_concerns_all_objects_makes_them_wait_and_is_named(
    make: Make, status: int, code: str, says: str
) -> None:
    with made_up(Refusing(status, code).answer) as server:
        world = make(server.url, task_time_limit_s=1)
        world.notify_of("a.png")
        world.dispatcher.step(1)
        with capture_logs() as logged:
            world._work(*world.queues.sent.pop())
        assert [line["service"] for line in logged if line["event"] == "service unavailable"] == ["store"]
        ((key, attempts, fault),) = world.waiting()
        assert (key, attempts) == ("a.png", 0)
        assert says in fault
        assert [(stage, ref.key) for stage, batch, _ in world.queues.sent for ref in batch.objects] == [
            ("embedding", "a.png")
        ], "it is put back, for when the store does its work again"

        for _ in range(3):  # an outage gives up nothing, however long it is
            world.now += GIVE_UP_S + 1
            world.wiring.health.beat("embedding")
            world.keeper.step()
        assert world.records() == {}
        assert [(key, attempts) for key, attempts, _ in world.waiting()] == [("a.png", 0)]


@pytest.mark.parametrize(("status", "code", "says"), REFUSALS)
def test_events_that_nobody_can_check_stay_in_the_inbox_until_somebody_can(
    make: Make, status: int, code: str, says: str
) -> None:
    """Without an order in it, what an event says must be looked up; that is refused."""
    refusing = Refusing(status, code)
    with made_up(refusing.answer) as server:
        world = make(server.url)
        world.notify_of("a.png", sequencer=None)
        with capture_logs() as logged:
            for _ in range(3):
                world.dispatcher.step(1)
        assert [line["event"] for line in logged] == ["service unavailable"], "and it is asked no more"
        assert says in logged[0]["reason"]
        assert world.wiring.inbox.length() == 1
        assert world.wiring.records.pending() == []
        refusing.mended = True
        assert world.wiring.outage_tracker.wait("store", 10)
        world.settle()
        assert world.records()["a.png"].state == "done"


def test_an_event_that_cannot_be_checked_while_all_else_can_is_given_up(make: Make) -> None:
    def answer(method: str, path: str) -> Answer:
        return Answer(503, refusal("SlowDown")) if path.endswith(".png") else Cached(None, None).answer(method, path)

    with made_up(answer) as server:
        world = make(server.url)
        world.now = time.time()  # entries of the inbox have the time of Redis
        world.notify_of("a.png", sequencer=None)
        with capture_logs() as logged:
            world.dispatcher.step(1)
            assert [line["event"] for line in logged] == ["events postponed"]
            world.now += GIVE_UP_S + 60
            world.dispatcher.recover(0)
        assert [line["event"] for line in logged] == ["events postponed", "event dropped"]
        assert world.wiring.inbox.length() == 0


def test_one_object_that_may_not_be_read_has_failed(make: Make) -> None:
    with made_up(Refusing(403, "AccessDenied").answer) as server:
        world = make(server.url)
        world.notify_of("a.png")
        world.settle()
        state, error = world.error("a.png")
        assert (state, error.code) == ("failed", "forbidden")
