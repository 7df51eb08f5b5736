"""Notifications as servers write them, with values of our own."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus

import msgspec

from workers.events.notification import Notification
from workers.lifecycle.event import ObjectEvent

BUCKET = "photos"
ETAG = "0f343b0931126a20f133d67c2b018a3b"
SEQUENCER = "18A5C0FFEE123456"

Json = dict[str, Any]


def record(
    name: str = "s3:ObjectCreated:Put", key: str = "walks/dog.jpg", *, bucket: str = BUCKET, encoded: bool = True,
    **fields: object,
) -> Json:  # fmt: skip
    """A record of an object. ``fields`` replace those of the object; ``None`` leaves one out."""
    of: Json = {"key": quote_plus(key) if encoded else key, "sequencer": SEQUENCER}
    if "Created" in name:
        of |= {"size": 2048, "eTag": ETAG, "contentType": "image/jpeg"}
    of = {field: value for field, value in (of | fields).items() if value is not None}
    return {
        "eventVersion": "2.0", "eventSource": "minio:s3", "eventTime": "2026-03-04T05:06:07.890Z", "eventName": name,
        "userIdentity": {"principalId": "scanner"}, "responseElements": {"x-amz-request-id": "00FF"},
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": bucket, "ownerIdentity": {"principalId": "scanner"}},
               "object": of},
        "source": {"host": "198.51.100.4", "userAgent": "scanner/2"},
    }  # fmt: skip


def body(*records: Json) -> bytes:
    """A webhook's body; its ``Key`` is wrong on purpose, since nobody may read it."""
    return msgspec.json.encode({"EventName": "s3:Nonsense", "Key": "not/what+is meant", "Records": records})


def access(*records: Json) -> bytes:
    """An entry of the list of the Redis target."""
    return msgspec.json.encode([{"Event": records, "EventTime": "2026-03-04T05:06:07Z"}])


def value(*records: Json) -> bytes:
    """A value of the hash of the Redis target, and a line of the listen API."""
    return msgspec.json.encode({"Records": records})


def only(notification: Notification) -> ObjectEvent:
    """The one event of a notification from which nothing was left out."""
    assert (notification.ignored, notification.rejected, notification.sweeps) == ((), (), ())
    (event,) = notification.events
    return event
