"""Events that are not in the shape of S3's records, and those of other kinds of stores, which are refused by name.

These senders write keys as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workers.events.occurrences import Occurrence, Unreadable

Fields = Mapping[str, Any]
Fold = Callable[[Fields], Fields]

S3_ONLY = "wildtag reads buckets over S3 only, and takes the events of S3 servers"


def eventbridge_occurrence(fields: Fields, folded: Fold) -> Occurrence:
    """An event of Amazon EventBridge. Raises ``Unreadable`` if it is that of another service."""
    source, detail = fields.get("source"), fields["detail"]
    if not isinstance(detail, dict) or not isinstance(source, str) or "s3" not in source.lower():
        raise Unreadable(f"an event of EventBridge from {source!r:.60}, not from aws.s3")
    inside = folded(detail)
    if "eventsource" in inside and "eventname" in inside:
        raise Unreadable(
            "an event of CloudTrail by EventBridge: enable Amazon EventBridge in the properties of the bucket instead"
        )
    where, item = (folded(part) if isinstance(part := inside.get(n), dict) else {} for n in ("bucket", "object"))
    bucket = where.get("name") or where.get("arn")
    resources = fields.get("resources")
    if not bucket and isinstance(resources, list) and resources:
        bucket = resources[0]
    return Occurrence(
        fields["detailtype"], bucket, item.get("key"), item.get("size"), item.get("etag"), item.get("versionid"),
        item.get("sequencer"), plain=True,
    )  # fmt: skip


def b2_occurrence(fields: Fields) -> Occurrence:
    """An event of Backblaze B2, which has neither an ETag nor a sequencer."""
    return Occurrence(
        fields.get("eventtype"), fields.get("bucketname"), fields.get("objectname"), fields.get("objectsize"),
        version_id=fields.get("objectversionid"), plain=True,
    )  # fmt: skip


def r2_occurrence(fields: Fields, folded: Fold) -> Occurrence:
    """A message of Cloudflare R2, which has no sequencer."""
    item = folded(fields["object"]) if isinstance(fields["object"], dict) else {}
    return Occurrence(
        fields.get("action"), fields.get("bucket"), item.get("key"), item.get("size"), item.get("etag"), plain=True
    )


def seaweed_occurrence(fields: Fields) -> Occurrence:
    """A notification of SeaweedFS's filer: a change below the folder of its buckets."""
    bucket, _, key = str(fields["key"]).removeprefix("/buckets/").partition("/")
    ways = {"create": "ObjectCreated", "update": "ObjectCreated", "delete": "ObjectRemoved"}
    name = ways.get(str(fields["eventtype"]).lower())
    # a rename has its new place only inside of the message
    return Occurrence(name or "ObjectCreated", bucket, key if name else None, plain=True)


def alien(fields: Fields) -> str | None:
    """Why events of another kind of store are refused; ``None`` if it is not known to be one."""
    kinds = " ".join(
        value for name in ("eventtype", "type", "kind", "eventsource", "source", "subject", "eventname")
        if isinstance(value := fields.get(name), str)
    )  # fmt: skip
    inside = fields.get("message")
    attributes = inside.get("attributes") if isinstance(inside, dict) else None
    from_google = isinstance(attributes, dict) and str(attributes.get("eventType", "")).startswith("OBJECT_")
    known = {
        "Azure Event Grid": "Microsoft." in kinds,
        "Google Cloud Storage": from_google or "google." in kinds or "storage#" in kinds,
        "Alibaba Cloud OSS": "oss" in fields or "acs:oss" in kinds,
        "Tencent COS": "cos" in fields or "cos:" in kinds,
        "Huawei OBS": "obs" in fields,
        "Oracle Cloud": "com.oraclecloud" in kinds,
    }
    found = next((name for name, is_it in known.items() if is_it), None)
    return f"a notification of {found}: {S3_ONLY}; the sweep finds the changes of a bucket" if found else None
