"""What events mean in any spelling, and what changes no picture is counted under its name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.events.samples import BUCKET, body, only, record, value
from workers.events.notification import (
    Notification,
    access_entry,
    listen_line,
    namespace_value,
    webhook,
)


@pytest.mark.parametrize(
    "name",
    ["s3:LifecycleExpiration:Delete", "LifecycleExpiration:DeleteMarkerCreated", "s3:LifecycleExpiration:*",
     "ObjectLifecycle:Expiration:Current", "s3:ObjectLifecycle:Expiration:DeleteMarker",
     "s3:LifecycleDelMarkerExpiration:Delete", "ObjectSynced:Delete", "OBJECT_DELETE", "DELETE_MARKER_CREATE",
     "S3:OBJECTREMOVED:DELETE", "OBJECT_EXPIRATION", "OBJECT_EXPIRATION_CURRENT", "objectRemovedDelete",
     "s3:ReducedRedundancyLostObject"],
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
     ("OBJECT_EXPIRATION_NONCURRENT", "NoncurrentExpiration"),
     ("OBJECT_EXPIRATION_ABORT_MPU", "AbortMultipartUpload"),
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
