"""What the events of S3 servers mean: an object came, an object went, or no picture changed.

Servers spell one event in many ways: ``s3:ObjectCreated:Put`` (MinIO, Amazon), ``ObjectCreated:Put`` (Amazon, Ceph),
``ObjectCreatedPut`` (RustFS), ``OBJECT_CREATE`` (older Ceph), ``Object Created`` (EventBridge), ``PutObject``
(Cloudflare), ``b2:ObjectCreated:Upload`` (Backblaze). Case, colons and blanks are therefore not compared, and the
longest known beginning of a name decides. A new way of creating or removing objects is understood: the bucket is
asked anyway.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

OTHER_EVENT = "other-event"
TEST_EVENT = "TestEvent"
NOTHING_REMOVED = "NoOP"

_CREATED = ("ObjectCreate", "ObjectCreated", "ObjectSynced:Create", "Replication:Create", "PutObject", "CopyObject",
            "CompleteMultipartUpload")  # fmt: skip
_REMOVED = (
    "ObjectRemoved", "ObjectDelete", "ObjectDeleted", "DeleteMarkerCreate", "HideMarkerCreated", "DeleteObject",
    "ObjectSynced:Delete", "ObjectSynced:DeletionMarkerCreated", "Replication:Delete",
    "Replication:DeletionMarkerCreated",
    # objects that expire: Amazon, Ceph, MinIO, Cloudflare
    "LifecycleExpiration", "ObjectLifecycle:Expiration", "LifecycleDelMarkerExpiration", "LifecycleDeletion",
    "ObjectExpiration",
    "ReducedRedundancyLostObject",
)  # fmt: skip
# The label of each is one of metrics. Tags that wildtag writes back would cause a loop if they counted as changes.
_UNCHANGED = {
    **{f"ObjectCreated:{way}": way for way in (
        "PutTagging", "DeleteTagging", "PutRetention", "PutLegalHold", "PutAcl", "PutObjectTagging",
        "DeleteObjectTagging", "PutObjectRetention", "PutObjectLegalHold", "PutObjectAcl",
    )},
    "ObjectRemoved:NoOP": NOTHING_REMOVED,
    "ObjectRemoved:DeleteTagging": "DeleteTagging", "ObjectRemoved:DeleteObjectTagging": "DeleteTagging",
    "ObjectRemoved:AbortMultipartUpload": "AbortMultipartUpload",
    "ObjectLifecycle:Expiration:Noncurrent": "NoncurrentExpiration",
    "ObjectLifecycle:Expiration:AbortMPU": "AbortMultipartUpload",
    "ObjectLifecycle:Expiration:AbortMultipartUpload": "AbortMultipartUpload",
    "ObjectExpirationNoncurrent": "NoncurrentExpiration", "ObjectExpirationAbortMPU": "AbortMultipartUpload",
    "ObjectLifecycle:Transition": "LifecycleTransition", "LifecycleTransition": "LifecycleTransition",
    "Object Storage Class Changed": "LifecycleTransition", "ObjectTransition": "LifecycleTransition",
    "IntelligentTiering": "IntelligentTiering", "Object Access Tier Changed": "IntelligentTiering",
    "ObjectAccessed": "ObjectAccessed", "GetObject": "ObjectAccessed", "HeadObject": "ObjectAccessed",
    "ObjectTagging": "ObjectTagging", "Object Tags": "ObjectTagging", "PutObjectTagging": "ObjectTagging",
    "DeleteObjectTagging": "ObjectTagging", "ObjectAnnotation": "ObjectAnnotation",
    "ObjectAcl": "ObjectAcl", "PutObjectAcl": "ObjectAcl",
    "ObjectRestore": "ObjectRestore", "Replication": "Replication", "ObjectReplication": "Replication",
    "Scanner": "Scanner", "ObjectManyVersions": "Scanner", "ObjectLargeVersions": "Scanner",
    "PrefixManyFolders": "Scanner", "BucketCreated": "Bucket", "BucketRemoved": "Bucket",
    "TestEvent": TEST_EVENT,
}  # fmt: skip
# where a store of the current state shows one of these, the object exists
_SHOWS_AN_OBJECT = frozenset({
    "PutTagging", "DeleteTagging", "PutRetention", "PutLegalHold", "PutAcl", "ObjectAccessed", "ObjectTagging",
    "ObjectAcl", "ObjectRestore", "Replication", "LifecycleTransition", "IntelligentTiering",
})  # fmt: skip

Kind = Literal["created", "removed"]


class Meaning(NamedTuple):
    """``kind``: what happened to an object; ``None`` if no picture changed. ``label``: of an event without a kind."""

    kind: Kind | None
    label: str = ""


@lru_cache(maxsize=1024)
def meaning(name: str, *, state: bool = False) -> Meaning:
    """The meaning of an event's name. ``state``: it is the last of an object, and stands for what is there now."""
    plain = _plain(name.rpartition("com.amazonaws.s3.")[2])
    for length in range(len(plain), 0, -1):
        found = _MEANINGS.get(plain[:length])
        if found is None:
            continue
        if state and found.label == NOTHING_REMOVED:
            return Meaning("removed")
        return Meaning("created") if state and found.label in _SHOWS_AN_OBJECT else found
    return Meaning(None, OTHER_EVENT)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", re.sub(r"^\s*(?:s3|b2|cos|obs|oss)\s*:", "", name.lower()))


_MEANINGS = {
    **{_plain(name): Meaning("created") for name in _CREATED},
    **{_plain(name): Meaning("removed") for name in _REMOVED},
    **{_plain(name): Meaning(None, label) for name, label in _UNCHANGED.items()},
}
