"""The probe of ``wildtag s3 doctor``: where it stops is said, and it leaves nothing behind."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from PIL import Image

from tasks.message_parts import ObjectRef, Revision
from tests.contract.real_servers import key_pair
from tests.unit.events import other_servers as other
from tests.warm import wildtag
from workers.diagnostics.s3_probe import FORMATS, ProbeForm, probe_forms, sample_image
from workers.events.notification import webhook
from workers.events.sink import EventSink, received_events
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Error, Record
from workers.lifecycle.record_reader import Records
from workers.redis.connection import Client, connect
from workers.redis.heartbeats import Health
from workers.redis.keys import Keys
from workers.redis.layout import Layout
from workers.stores.object_filter import ObjectFilter
from workers.stores.s3 import S3Store
from workers.stores.s3_errors import BucketRefused
from workers.stores.s3_notification import Entry, merged, write

REVISION = Revision("space", "captions")
KEYS = Keys("wildtag:")

Doctor = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def store(s3: S3Store) -> S3Store:
    return s3


@pytest.fixture
def doctor(store: S3Store, redis_url: str, bucket: str) -> Doctor:
    """Runs the command as a person does; gives its exit status and its checks by name."""

    def run(*arguments: str, **settings: str) -> tuple[int, dict[str, Any]]:
        Layout(connect(redis_url), KEYS).require()
        endpoint = store.connection.options.endpoint
        access_key, secret_key = key_pair(endpoint)
        environment = {
            **os.environ, "WILDTAG_S3_ENDPOINT": endpoint, "WILDTAG_S3_ACCESS_KEY": access_key,
            "WILDTAG_S3_SECRET_KEY": secret_key, "WILDTAG_BUCKET": bucket, "WILDTAG_REDIS_URL": redis_url, **settings,
        }  # fmt: skip
        done = wildtag("s3", "doctor", "--json", *arguments, env=environment, timeout=120)
        assert done.stderr == ""
        return done.returncode, {check["name"]: check for check in map(json.loads, done.stdout.splitlines())}

    return run


@contextmanager
def taking(
    store: S3Store, client: Client, bucket: str, then: Callable[[Ledger, ObjectRef], None]
) -> Iterator[list[str]]:
    """Stands for events, dispatcher and stages: enters what comes into the bucket, and does ``then`` with it."""
    ledger, over, seen = Ledger(client, KEYS, 100), threading.Event(), list[str]()

    def turn() -> None:
        while not over.wait(0.02):
            for info in store.list(bucket):
                if info.ref.key not in seen:
                    seen.append(info.ref.key)
                    ledger.enter([Arrival(info.ref)], REVISION, time.time(), time.time() + 60)
                    then(ledger, info.ref)

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def done(ledger: Ledger, ref: ObjectRef, error: Error | None = None) -> None:
    record = Record(
        bucket=ref.bucket, key=ref.key, etag=ref.etag, state="failed" if error else "done", error=error,
        space_id=REVISION.space_id, captions_version=REVISION.captions_version,
    )  # fmt: skip
    ledger.finish([record], time.time())


def test_a_probe_that_arrives(doctor: Doctor, store: S3Store, client: Client, bucket: str) -> None:
    added = merged(b"", Entry("arn:aws:sqs:us-east-1:1:ours", "in +é/", ".PNG"))
    assert added is not None
    prefix, suffix = "in +é/", ".PNG"
    try:
        write(store, bucket, added)
    except BucketRefused:  # a real server takes only the targets that it has
        prefix, suffix = "", ".png"
    with taking(store, client, bucket, done) as seen:
        status, checks = doctor("--wait", "30")
    assert status == 0, checks
    assert list(checks) == ["server", "bucket", "objects", "notification", "stored", "event", "record"]
    assert checks["record"]["ok"]
    (key,) = seen
    assert key.startswith(f"{prefix}wildtag-probe-")
    assert key.endswith(suffix)
    assert list(store.list(bucket)) == []
    inbox = Inbox(client, KEYS.inbox)
    inbox.prepare()
    ((_, event),) = inbox.read("test", 10, 10)
    assert (event.kind, event.key, event.verified) == ("removed", key, True)


def test_where_it_stops_is_said(doctor: Doctor, store: S3Store, client: Client, bucket: str) -> None:
    status, checks = doctor("--wait", "0.2")
    assert (status, list(checks)[-1]) == (1, "event")
    assert "dispatcher is not running" in checks["event"]["detail"]
    assert checks["notification"]["ok"] is None
    Health(client, KEYS, time.time).beat("dispatcher")
    status, checks = doctor("--wait", "0.5")
    assert (
        "events are waiting before it" in checks["event"]["detail"]
    )  # the removal of the one before, which nobody took
    client.delete(KEYS.inbox)
    Health(client, KEYS, time.time).beat("dispatcher")
    status, checks = doctor("--wait", "0.5", "--prefix", "x/")
    assert "no event arrived" in checks["event"]["detail"]
    assert "wildtag s3 setup" in checks["event"]["remedy"]
    with taking(store, client, bucket, lambda *_: None):
        status, checks = doctor("--wait", "1.5")
    assert (status, list(checks)[-1]) == (1, "record")
    assert "stopped at queued after 0 attempts" in checks["record"]["detail"]
    with taking(store, client, bucket, lambda ledger, ref: done(ledger, ref, Error("unreadable", "no image"))):
        status, checks = doctor("--wait", "30")
    assert status == 1
    assert "failed: no image" in checks["record"]["detail"]
    assert list(store.list(bucket)) == []


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"WILDTAG_IGNORE_PREFIXES": "wildtag-"}, "wildtag-probe-….png"),
        ({"WILDTAG_FOLLOW_PREFIXES": "in/", "WILDTAG_IGNORE_PREFIXES": "in/"}, "in/wildtag-probe-….png"),
        ({"WILDTAG_FOLLOW_SUFFIXES": ".JPG", "WILDTAG_IGNORE_SUFFIXES": "jpg,png"}, "wildtag-probe-….JPG"),
        ({"WILDTAG_FOLLOW_TYPES": "video/*"}, "WILDTAG_FOLLOW_TYPES"),
        ({"WILDTAG_IGNORE_TYPES": "image/*"}, "WILDTAG_IGNORE_TYPES"),
    ],
)
def test_filters_that_no_probe_can_pass_are_named(
    doctor: Doctor, store: S3Store, bucket: str, settings: dict[str, str], names: str
) -> None:
    status, checks = doctor("--wait", "0.2", **settings)
    assert (status, list(checks)[-1]) == (1, "followed")
    assert names in checks["followed"]["detail"] + checks["followed"]["remedy"]
    assert list(store.list(bucket)) == []


@pytest.mark.parametrize(
    ("object_filter", "entry", "chosen", "made"),
    [
        (ObjectFilter(), Entry(""), (None, None), ("", ".png", "image/png")),
        (ObjectFilter(), Entry("", "in/", ".JPG"), (None, None), ("in/", ".JPG", "image/png")),
        (ObjectFilter(), Entry("", "in/", ".JPG"), ("x/", ""), ("x/", ".png", "image/png")),
        (ObjectFilter(prefixes=["in/a/", "b/"]), Entry("", "in/"), (None, None), ("in/a/", ".png", "image/png")),
        (ObjectFilter(prefixes=["b/", "in/"]), Entry("", "in/a/"), (None, None), ("in/a/", ".png", "image/png")),
        (ObjectFilter(prefixes=["b/"]), Entry("", "in/"), (None, None), ("b/", ".png", "image/png")),
        (ObjectFilter(suffixes=[".tif"], ignored_suffixes=["png"]), Entry(""), (None, None),
         ("", ".tif", "image/png")),
        (ObjectFilter(content_types=["image/jpeg"]), Entry(""), (None, None), ("", ".jpg", "image/jpeg")),
        (ObjectFilter(ignored_prefixes=["in/p"], prefixes=["in/private", "in/b"]), Entry("", "in/"), (None, None),
         ("in/b", ".png", "image/png")),
        (ObjectFilter(ignored_prefixes=["x/"]), Entry(""), ("x/", None), None),
    ],
)  # fmt: skip
def test_a_probe_looks_like_what_is_followed_and_told_of(
    object_filter: ObjectFilter,
    entry: Entry,
    chosen: tuple[str | None, str | None],
    made: tuple[str, str, str] | None,
) -> None:
    first = next(probe_forms(object_filter, entry, *chosen), None)
    assert first == (made and ProbeForm(*made))
    assert first is None or object_filter.key(first.key("wildtag-probe-0"))


def test_without_redis_it_says_so(doctor: Doctor, store: S3Store, bucket: str) -> None:
    status, checks = doctor("--wait", "1", WILDTAG_REDIS_URL="redis://127.0.0.1:9/0")
    assert status == 1
    assert "Redis" in checks["followed"]["detail"]
    assert list(store.list(bucket)) == []


def test_a_bucket_that_is_not_there(doctor: Doctor) -> None:
    status, checks = doctor("--bucket", "some-other-bucket")
    assert (status, list(checks)) == (1, ["server", "bucket"])
    assert "--create" in checks["bucket"]["remedy"]


def test_notifications_that_cannot_be_read_are_named(
    doctor: Doctor, store: S3Store, client: Client, bucket: str
) -> None:
    body = other.rustfs_alpha(bucket=bucket)
    EventSink(client, KEYS).store([received_events("webhook", webhook(body, bucket), body)])
    with taking(store, client, bucket, done):
        status, checks = doctor("--wait", "30")
    assert status == 0
    assert "the key is empty" in checks["rejected"]["detail"]


@pytest.mark.parametrize("image_format", [image_format for image_format, _ in FORMATS.values()])
def test_the_picture_is_one(image_format: str) -> None:
    image = Image.open(io.BytesIO(sample_image(image_format)))
    assert (image.format, image.size) == (image_format, (160, 120))
    assert len(image.convert("RGB").getcolors(20_000) or ()) > 100


def test_records_know_where_an_object_is(client: Client, keys: Keys) -> None:
    records, ledger = Records(client, keys), Ledger(client, keys, 10)
    assert records.on_its_way("photos/a.jpg") is None
    ref = ObjectRef("photos", "a.jpg", "e", 1)
    ledger.enter([Arrival(ref)], REVISION, 5.0, 10.0)
    ledger.postpone([ref], REVISION, 20.0, "the store is away", now=10.0)
    pending = records.on_its_way("photos/a.jpg")
    assert pending is not None
    assert (pending.stage, pending.accepted_at, pending.fault) == ("waiting", 5.0, "the store is away")
