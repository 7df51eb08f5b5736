"""What other servers send, and what carries it: read where the meaning is certain, named where it is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.events import other_servers as other
from tests.unit.events.other_servers import carried, wrapped
from tests.unit.events.samples import BUCKET, ETAG, SEQUENCER, body, only, record
from workers.events.notification import (
    Notification,
    access_entry,
    listen_line,
    namespace_value,
    padded,
    webhook,
)

READERS = [webhook, listen_line, access_entry, namespace_value]
DOG = "walks/dog.jpg"


@pytest.mark.parametrize("envelope", wrapped(body(record())))
@pytest.mark.parametrize("read", READERS)
def test_every_source_reads_every_envelope(envelope: str, read: Any) -> None:
    event = only(read(wrapped(body(record(key="dog.jpg")))[envelope], BUCKET))
    assert (event.kind, event.key, event.etag, event.sequence) == ("created", "dog.jpg", ETAG, padded(SEQUENCER))
    gone = only(read(wrapped(body(record("s3:ObjectRemoved:Delete", key="dog.jpg")))[envelope], BUCKET))
    assert (gone.kind, gone.key) == ("removed", "dog.jpg")
    assert read(wrapped(body(record(bucket="theirs")))[envelope], BUCKET) == Notification(ignored=("other-bucket",))


@pytest.mark.parametrize("envelope", carried(body(record())))
def test_amazons_test_event_is_no_fault_in_any_envelope(envelope: str) -> None:
    made = carried(other.dump(other.AMAZON_TEST))[envelope]
    assert webhook(made, BUCKET) == Notification(ignored=("TestEvent",))


def test_several_bodies_may_come_one_a_line() -> None:
    lines = b"\n".join([body(record(key="a.jpg")), b"", body(record(key="b.jpg")), b'{"broken"', b""])
    notification = webhook(lines, BUCKET)
    assert [event.key for event in notification.events] == ["a.jpg", "b.jpg"]
    assert len(notification.rejected) == 1
    pretty = json.dumps(json.loads(body(record(key="a.jpg"))), indent=0).encode()
    assert only(webhook(pretty, BUCKET)).key == "a.jpg"


# -- RustFS


def test_an_empty_key_asks_for_a_sweep_and_says_so() -> None:
    notification = webhook(other.rustfs_alpha(), BUCKET)
    assert (notification.events, notification.sweeps) == ((), ("",))
    assert "key is empty" in notification.rejected[0]
    assert webhook(other.rustfs_alpha(bucket="theirs"), BUCKET) == Notification(ignored=("other-bucket",))


def test_the_folder_that_is_known_is_swept() -> None:
    made = json.loads(other.rustfs_alpha())
    made["key"] = f"{BUCKET}/walks/2026/"
    assert webhook(other.dump(made), BUCKET).sweeps == ("walks/2026/",)


def test_lower_case_names_and_a_null_etag_are_read() -> None:
    event = only(webhook(other.rustfs_alpha(key="dog.jpg"), BUCKET))
    assert (event.kind, event.key, event.etag) == ("created", "dog.jpg", "")
    gone = only(webhook(other.rustfs_alpha("ObjectRemovedDelete", "dog.jpg"), BUCKET))
    assert gone.kind == "removed"


def test_new_tags_without_a_key_are_no_fault() -> None:
    assert webhook(other.rustfs_alpha("ObjectCreatedPutTagging"), BUCKET) == Notification(ignored=("PutTagging",))
    tagged = record("s3:ObjectCreated:PutTagging", key="")
    assert webhook(body(tagged), BUCKET) == Notification(ignored=("PutTagging",))


# -- other servers


def test_ceph_writes_keys_as_they_are() -> None:
    event = only(webhook(other.dump({"Records": [other.ceph()]}), BUCKET))
    assert event.key == "walks/a cat + dog.jpg"  # a blank shows that nothing was encoded
    assert event.other_keys == ("walks/a cat   dog.jpg",)


@pytest.mark.parametrize(
    ("kind", "meant"),
    [("b2:ObjectCreated:Upload", "created"), ("b2:ObjectCreated:MultipartUpload", "created"),
     ("b2:ObjectCreated:Replica", "created"), ("b2:ObjectCreated:Copy", "created"),
     ("b2:ObjectDeleted:Delete", "removed"), ("b2:ObjectDeleted:LifecycleRule", "removed"),
     ("b2:HideMarkerCreated:Hide", "removed"), ("b2:HideMarkerCreated:LifecycleRule", "removed")],
)  # fmt: skip
def test_backblaze(kind: str, meant: str) -> None:
    event = only(webhook(other.b2(kind), BUCKET))
    assert (event.kind, event.key, event.etag) == (meant, "walks/a+b.jpg", "")
    assert webhook(other.b2(kind, bucketName="theirs"), BUCKET).ignored == ("other-bucket",)


def test_backblazes_test() -> None:
    assert webhook(other.b2("b2:TestEvent"), BUCKET) == Notification(ignored=("TestEvent",))


@pytest.mark.parametrize(
    ("action", "meant"),
    [("PutObject", "created"), ("CopyObject", "created"), ("CompleteMultipartUpload", "created"),
     ("DeleteObject", "removed"), ("LifecycleDeletion", "removed")],
)  # fmt: skip
def test_cloudflare(action: str, meant: str) -> None:
    assert only(webhook(other.r2(action), BUCKET)).kind == meant


@pytest.mark.parametrize(("kind", "meant"), [("create", "created"), ("update", "created"), ("delete", "removed")])
def test_seaweed(kind: str, meant: str) -> None:
    event = only(webhook(other.seaweed(kind, f"/buckets/{BUCKET}/{DOG}"), BUCKET))
    assert (event.kind, event.key) == (meant, DOG)
    assert webhook(other.seaweed(kind, f"/buckets/theirs/{DOG}"), BUCKET).ignored == ("other-bucket",)
    renamed = webhook(other.seaweed("rename", f"/buckets/{BUCKET}/{DOG}"), BUCKET)
    assert (renamed.events, renamed.sweeps) == ((), ("",))


@pytest.mark.parametrize(
    ("kind", "meant"),
    [("Object Created", "created"), ("Object Deleted", "removed"), ("object created", "created")],
)
def test_eventbridge_writes_keys_as_they_are(kind: str, meant: str) -> None:
    event = only(webhook(other.eventbridge(kind), BUCKET))
    assert (event.kind, event.key, event.version_id) == (meant, "walks/a+b %41.jpg", "v1")
    assert event.other_keys == ("walks/a b A.jpg",)


@pytest.mark.parametrize(
    ("kind", "label"),
    [("Object Tags Added", "ObjectTagging"), ("Object Tags Deleted", "ObjectTagging"),
     ("Object ACL Updated", "ObjectAcl"), ("Object Restore Completed", "ObjectRestore"),
     ("Object Restore Initiated", "ObjectRestore"), ("Object Storage Class Changed", "LifecycleTransition"),
     ("Object Access Tier Changed", "IntelligentTiering")],
)  # fmt: skip
def test_eventbridge_also_tells_what_changes_no_picture(kind: str, label: str) -> None:
    assert webhook(other.eventbridge(kind), BUCKET) == Notification(ignored=(label,))


def test_the_bucket_of_eventbridge_may_be_in_its_resources() -> None:
    assert only(webhook(other.eventbridge(bucket={}), BUCKET)).kind == "created"


@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_a_subscription_of_sns_is_named(kind: str) -> None:
    notification = webhook(other.sns("You have chosen to subscribe", kind), BUCKET)
    assert (notification.events, notification.ignored, notification.sweeps) == ((), (), ())
    assert "SNS" in notification.rejected[0]
    assert "subscri" in notification.rejected[0]


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (other.dump(other.GOOGLE_OBJECT), "Google"),
        (other.pubsub(other.dump(other.GOOGLE_OBJECT), eventType="OBJECT_FINALIZE", bucketId=BUCKET), "Google"),
        (other.cloudevent(other.GOOGLE_OBJECT, "google.cloud.storage.object.v1.finalized"), "Google"),
        (other.dump(other.AZURE_GRID), "Azure"),
        (other.cloudevent(other.AZURE_GRID[0]["data"], "Microsoft.Storage.BlobCreated"), "Azure"),
        (other.dump([{"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {}}]), "Azure"),
        (other.dump(other.OSS), "Alibaba"),
        (other.dump(other.COS), "Tencent"),
        (other.dump(other.OBS), "Huawei"),
        (b"<NotificationConfiguration/>", "XML"),
        (other.sns("Hello"), "'Hello'"),
        (other.eventbridge(bucket={}, object={}).replace(b"aws.s3", b"aws.ec2"), "aws.ec2"),
        (other.dump({"hello": "world", "key": "x"}), "hello"),
        (other.dump({"message": {"data": "*"}}), "base64"),
    ],
)  # fmt: skip
def test_what_is_no_event_of_an_s3_server_is_refused_by_name(made: bytes, says: str) -> None:
    for read in READERS:
        notification = read(made, BUCKET)
        assert (notification.events, notification.sweeps) == ((), ())
        assert says in " ".join(notification.rejected)
