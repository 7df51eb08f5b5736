"""What other servers send, and what carries it: read where the meaning is certain, named where it is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.events import other_servers as other
from tests.unit.events.samples import BUCKET, ETAG, SEQUENCER, Json, access, body, record, value
from workers.events.notification import (
    LARGEST,
    Notification,
    access_entry,
    listen_line,
    namespace_value,
    padded,
    webhook,
)
from workers.lifecycle.event import ObjectEvent

READERS = [webhook, listen_line, access_entry, namespace_value]
DOG = "walks/dog.jpg"
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def only(notification: Notification) -> ObjectEvent:
    assert (notification.ignored, notification.rejected, notification.sweeps) == ((), (), ())
    (event,) = notification.events
    return event


def carried(inside: bytes) -> dict[str, bytes]:
    """A body in every envelope that carries bodies."""
    text = inside.decode()
    return {
        "SNS": other.sns(inside),
        "SQS": other.dump(other.sqs(inside)),
        "SNS in SQS": other.dump(other.sqs(other.sns(inside))),
        "several messages of SQS": other.dump({"Messages": [other.sqs(inside)]}),
        "SQS of a function": other.sqs_of_a_function(inside),
        "SNS in SQS of a function": other.sqs_of_a_function(other.sns(inside)),
        "SNS of a function": other.sns_of_a_function(inside),
        "CloudEvents": other.cloudevent(json.loads(inside)),
        "CloudEvents, a text": other.cloudevent(text),
        "Pub/Sub": other.pubsub(inside),
        "NooBaa": other.dump({"meta": {"name": "n"}, "notif": json.loads(inside)}),
        "a text": other.dump(text),
        "a function's address": other.dump({"version": "2.0", "requestContext": {}, "body": text}),
        "a byte order mark": b"\xef\xbb\xbf" + inside,
    }


def wrapped(inside: bytes) -> dict[str, bytes]:
    """A body with one record in every envelope."""
    one = json.loads(inside)["Records"][0]
    return carried(inside) | {
        "CloudEvents, a record": other.cloudevent(one),
        "records as a text": other.dump({"Records": json.dumps([one])}),
        "a record as a text": other.dump({"Records": [json.dumps(one)]}),
        "one record": other.dump({"Records": one}),
        "a record": other.dump(one),
        "a list of records": other.dump([one]),
        "an entry of the Redis target": access(one),
    }


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
        (other.sns("Hello"), "JSON"),
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


# -- kinds of events


@pytest.mark.parametrize(
    "name",
    ["s3:LifecycleExpiration:Delete", "LifecycleExpiration:DeleteMarkerCreated", "s3:LifecycleExpiration:*",
     "ObjectLifecycle:Expiration:Current", "s3:ObjectLifecycle:Expiration:DeleteMarker",
     "s3:LifecycleDelMarkerExpiration:Delete", "ObjectSynced:Delete", "OBJECT_DELETE", "DELETE_MARKER_CREATE",
     "S3:OBJECTREMOVED:DELETE", "objectRemovedDelete", "s3:ReducedRedundancyLostObject"],
)  # fmt: skip
def test_these_may_remove_an_object(name: str) -> None:
    assert only(webhook(body(record(name)), BUCKET)).kind == "removed"


@pytest.mark.parametrize(
    "name",
    ["s3:objectcreated:put", "OBJECT_CREATE", "ObjectCreatedPut", "s3:ObjectCreated:*", "ObjectSynced:Create",
     "s3:ObjectCreated:ANewWay", " s3:ObjectCreated:Put ", "s3:Replication:Create"],
)  # fmt: skip
def test_these_may_bring_an_object(name: str) -> None:
    assert only(webhook(body(record("s3:ObjectCreated:Put") | {"eventName": name}), BUCKET)).kind == "created"


@pytest.mark.parametrize(
    ("name", "label"),
    [("s3:ObjectCreated:PutAcl", "PutAcl"), ("s3:ObjectAcl:Put", "ObjectAcl"),
     ("s3:ObjectTagging:Put", "ObjectTagging"), ("ObjectTagging:Delete", "ObjectTagging"),
     ("s3:ObjectAccessed:Get", "ObjectAccessed"), ("s3:ObjectAccessed:Head", "ObjectAccessed"),
     ("s3:ObjectRemoved:NoOP", "NoOP"), ("objectremoved:noop", "NoOP"), ("s3:ObjectRestore:Post", "ObjectRestore"),
     ("s3:ObjectRestore:Completed", "ObjectRestore"), ("s3:Replication:OperationFailedReplication", "Replication"),
     ("s3:LifecycleTransition", "LifecycleTransition"), ("s3:IntelligentTiering", "IntelligentTiering"),
     ("s3:ObjectTransition:Complete", "LifecycleTransition"), ("s3:Scanner:ManyVersions", "Scanner"),
     ("ObjectLifecycle:Transition:NonCurrent", "LifecycleTransition"), ("s3:BucketCreated:*", "Bucket"),
     ("ObjectLifecycle:Expiration:NonCurrent", "NoncurrentExpiration"),
     ("ObjectLifecycle:Expiration:AbortMultipartUpload", "AbortMultipartUpload")],
)  # fmt: skip
@pytest.mark.parametrize("read", [webhook, listen_line, access_entry])
def test_what_changes_no_picture_is_counted_under_its_name(name: str, label: str, read: Any) -> None:
    assert read(value(record(name)), BUCKET) == Notification(ignored=(label,))
    nameless = record(name)
    nameless["s3"] = None
    assert read(value(nameless), BUCKET) == Notification(ignored=(label,))


def test_in_the_hash_nothing_removed_is_nothing_there() -> None:
    assert only(namespace_value(value(record("s3:ObjectRemoved:NoOP")), BUCKET)).kind == "removed"


# -- fields


def spelled(node: Any, spell: Any) -> Any:
    """All names of fields in another spelling."""
    if isinstance(node, dict):
        return {spell(name): spelled(child, spell) for name, child in node.items()}
    return [spelled(child, spell) for child in node] if isinstance(node, list) else node


def snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


@pytest.mark.parametrize(
    "spell", [str.lower, str.upper, str.title, snake, lambda name: snake(name).replace("_", "-")]
)
def test_names_of_fields_in_any_spelling(spell: Any) -> None:
    inside = spelled(json.loads(body(record(key="dog.jpg", versionId="v"))), spell)
    event = only(webhook(other.dump(inside), BUCKET))
    assert (event.key, event.etag, event.size, event.version_id) == ("dog.jpg", ETAG, 2048, "v")
    assert event.sequence == padded(SEQUENCER)


def test_fields_that_contradict_each_other_are_refused() -> None:
    raw = record(key="dog.jpg")
    raw["s3"]["object"]["Key"] = "cat.jpg"
    notification = webhook(body(raw, record(key="other.jpg")), BUCKET)
    assert [event.key for event in notification.events] == ["other.jpg"]
    assert "differ" in notification.rejected[0]
    raw["s3"]["object"]["Key"] = "dog.jpg"
    assert only(webhook(body(raw), BUCKET)).key == "dog.jpg"


@pytest.mark.parametrize(
    "bucket",
    [{"arn": f"arn:aws:s3:::{BUCKET}"}, {"name": None, "arn": f"arn:aws:s3:::{BUCKET}"}, BUCKET,
     {"name": "", "arn": f"arn:rustfs:s3:::{BUCKET}"}, {"name": BUCKET, "arn": None}, f"arn:aws-cn:s3:::{BUCKET}"],
)  # fmt: skip
def test_the_bucket_by_its_arn(bucket: object) -> None:
    raw = record(key="dog.jpg")
    raw["s3"]["bucket"] = bucket
    assert only(webhook(body(raw), BUCKET)).key == "dog.jpg"


@pytest.mark.parametrize("bucket", [None, {}, [], 5, {"name": 7}, {"arn": "arn:aws:s3:eu-west-1:1:accesspoint/a"}])
def test_a_record_without_a_bucket_is_named(bucket: object) -> None:
    raw = record(key="dog.jpg")
    raw["s3"]["bucket"] = bucket
    notification = webhook(body(raw), BUCKET)
    assert (notification.events, notification.sweeps) == ((), ())
    assert "bucket" in notification.rejected[0]


@pytest.mark.parametrize("name", [None, "", 5, [], " "])
def test_a_record_without_the_name_of_an_event_asks_for_a_sweep(name: object) -> None:
    notification = webhook(body(record() | {"eventName": name}), BUCKET)
    assert (notification.events, notification.sweeps) == ((), ("",))
    assert "event name" in notification.rejected[0]


@pytest.mark.parametrize(("written", "meant"), [("2048", 2048), (2048.0, 2048), (None, 0), (0, 0)])
def test_sizes(written: object, meant: int) -> None:
    raw = record(key="dog.jpg")
    raw["s3"]["object"]["size"] = written
    event = only(webhook(body(raw), BUCKET))
    assert (event.size, event.etag) == (meant, ETAG)


@pytest.mark.parametrize(
    ("written", "meant"),
    [(f'"{ETAG}"', ETAG), (f'W/"{ETAG}"', ETAG), (None, ""), ("", ""), (7, ""), ("null", "null")],
)
def test_etags(written: object, meant: str) -> None:
    raw = record(key="dog.jpg")
    raw["s3"]["object"]["eTag"] = written
    assert only(webhook(body(raw), BUCKET)).etag == meant


@pytest.mark.parametrize("version", [None, "null", "", 5])
def test_versions_that_are_none(version: object) -> None:
    raw = record(key="dog.jpg")
    raw["s3"]["object"]["versionId"] = version
    assert only(webhook(body(raw), BUCKET)).version_id is None


# -- keys


@pytest.mark.parametrize(
    ("written", "keys"),
    [
        ("dog.jpg", ["dog.jpg"]),
        ("a+b.jpg", ["a b.jpg", "a+b.jpg"]),
        ("%41.jpg", ["A.jpg", "%41.jpg"]),
        ("caf%c3%a9.jpg", ["café.jpg", "caf%c3%a9.jpg"]),
        ("a%2Fb.jpg", ["a/b.jpg", "a%2Fb.jpg"]),
        ("100%.jpg", ["100%.jpg"]),
        ("100% a+b.jpg", ["100% a+b.jpg", "100% a b.jpg"]),  # a blank: it is not encoded
        ("100%+a.jpg", ["100%+a.jpg", "100% a.jpg"]),  # nor is a percent sign that begins no byte
        ("%ff.jpg", ["%ff.jpg"]),  # no UTF-8 if it were encoded
        ("/dog.jpg", ["/dog.jpg", "dog.jpg"]),
        ("é.jpg", ["é.jpg"]),
        ("e\u0301.jpg", ["e\u0301.jpg"]),
        ("日本/犬.jpg", ["日本/犬.jpg"]),
        ("x" * 1024, ["x" * 1024]),
        ("%C3%A9" * 512, ["é" * 512]),
    ],
)
def test_the_keys_that_a_record_may_mean(written: str, keys: list[str]) -> None:
    raw = record()
    raw["s3"]["object"]["key"] = written
    event = only(webhook(body(raw), BUCKET))
    assert [event.key, *event.other_keys] == keys


@pytest.mark.parametrize(
    ("told", "written", "keys"),
    [
        ("a b.jpg", "a+b.jpg", ["a b.jpg"]),
        ("walks/dog.jpg", "walks%2Fdog.jpg", ["walks/dog.jpg"]),
        ("a+b.jpg", "a+b.jpg", ["a b.jpg", "a+b.jpg"]),  # RustFS writes blanks so, beside the records
        ("%41.jpg", "%41.jpg", ["%41.jpg", "A.jpg"]),
        ("something.jpg", "a+b.jpg", ["a b.jpg", "a+b.jpg"]),
    ],
)
def test_the_key_beside_the_records_confirms_a_reading(told: str, written: str, keys: list[str]) -> None:
    raw = record()
    raw["s3"]["object"]["key"] = written
    event = only(webhook(other.dump({"Key": f"{BUCKET}/{told}", "Records": [raw]}), BUCKET))
    assert [event.key, *event.other_keys] == keys
    both = webhook(other.dump({"Key": f"{BUCKET}/{told}", "Records": [raw, record(key="x")]}), BUCKET)
    assert len(both.events) == 2


def test_good_and_bad_records_in_one_body() -> None:
    bad: list[Any] = [None, 5, "x", [], {}, record(bucket="theirs"), record("s3:ObjectAccessed:Get"), {"s3": {}}]
    mixed = [part for one in bad for part in (record(key="a.jpg"), one)]
    notification = webhook(other.dump({"Records": mixed}), BUCKET)
    assert [event.key for event in notification.events] == ["a.jpg"] * 8
    assert sorted(notification.ignored) == ["ObjectAccessed", "other-bucket"]
    assert len(notification.rejected) == 6


def test_a_gigantic_body_is_not_read_and_everything_is_compared() -> None:
    notification = webhook(body(record()) + b" " * LARGEST, BUCKET)
    assert (notification.events, notification.sweeps) == ((), ("",))
    assert "larger" in notification.rejected[0]


def test_envelopes_without_an_end_are_refused() -> None:
    inside = body(record())
    for _ in range(12):
        inside = other.sns(inside)
        if len(inside) > LARGEST:
            break
    assert webhook(inside, BUCKET).events == ()
    assert webhook(inside, BUCKET).rejected


# -- nothing makes it fail

SAMPLES: list[bytes] = [
    *wrapped(body(record(), record("s3:ObjectRemoved:Delete"))).values(),
    *(other.rustfs_alpha(), other.b2(), other.r2(), other.seaweed("create", f"/buckets/{BUCKET}/{DOG}")),
    *(other.eventbridge(), other.dump({"Records": [other.ceph()]}), other.dump(other.AMAZON_TEST)),
    *map(other.dump, (other.AZURE_GRID, other.GOOGLE_OBJECT, other.OSS, other.COS, other.OBS)),
]
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from([10**400, "[]", "{}", "null", '{"Records":[{}]}', BUCKET, "%", "\x00", "\ud800"])
)  # fmt: skip
NAMES = st.sampled_from([
    "Records", "records", "Event", "Type", "Message", "body", "Body", "Sns", "detail", "detail-type", "source",
    "message", "events", "eventName", "eventType", "s3", "S3", "bucket", "object", "key", "Key", "name", "arn",
    "data", "action", "notif", "Messages", "kind", "oss", "cos", "attributes", "resources", "data_base64", "size",
    "sequencer", "eTag",
])  # fmt: skip
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5), max_leaves=20
)


def checked(data: bytes) -> None:
    for read in READERS:
        notification = read(data, BUCKET)
        for event in notification.events:
            assert event.bucket == BUCKET
            assert all(0 < len(key.encode()) <= 1024 for key in (event.key, *event.other_keys))


@unhurried
@given(TREES)
def test_no_value_makes_it_fail(tree: object) -> None:
    checked(json.dumps(tree).encode())


@unhurried
@given(st.sampled_from(SAMPLES), st.data())
def test_no_change_of_a_sample_makes_it_fail(sample: bytes, data: st.DataObject) -> None:
    made: Json = json.loads(sample.removeprefix(b"\xef\xbb\xbf"))
    places: list[tuple[Any, Any]] = []

    def gather(node: object) -> None:
        inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for name, child in list(inside):
            places.append((node, name))
            gather(child)

    gather(made)
    if places:
        node, name = data.draw(st.sampled_from(places))
        node[name] = data.draw(TREES)
    checked(json.dumps(made).encode())


@unhurried
@given(st.sampled_from(SAMPLES), st.integers(0, 5000), st.binary(max_size=4))
def test_no_damage_of_a_sample_makes_it_fail(sample: bytes, at: int, bytes_: bytes) -> None:
    checked(sample[: at % len(sample)] + bytes_ + sample[at % len(sample) + len(bytes_) :])
