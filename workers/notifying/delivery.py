"""A delivery: the body to POST for one feed entry, and the state of its attempts."""

from __future__ import annotations

import hashlib

import msgspec

from workers.lifecycle.damaged_records import record_in_feed
from workers.lifecycle.record_view import public_json
from workers.lifecycle.times import rfc3339


class Delivery(msgspec.Struct, frozen=True):
    """One body to deliver. ``id`` is the same for all attempts, so receivers can detect repetitions.

    ``since``: when it was read from the feed (Unix seconds); ``attempts``: failed ones; ``reason``: of the last
    failure.
    """

    id: str
    type: str
    bucket: str
    key: str
    body: bytes
    since: float
    attempts: int = 0
    reason: str = ""


class _Event(msgspec.Struct):
    type: str
    timestamp: str
    data: msgspec.Raw


def delivery_of(entry: str, oid: str, body: bytes, now: float) -> Delivery:
    """The delivery of a feed entry with a record. The same entry always has the same id.

    The id includes a digest, because two feeds may use the same numbers and have one receiver. Raises
    ``DamagedRecord``.
    """
    read = record_in_feed(oid, body)
    kind = f"object.{read.state}"
    at = int(entry.partition("-")[0]) / 1000
    # of what is stored: another version of wildtag may write the same record in other words
    digest = hashlib.sha256(_body(kind, at, body) if body.startswith(b"{") else body).hexdigest()[:16]
    body = _body(kind, at, public_json(read))
    return Delivery(f"msg_{entry.replace('-', '_')}_{digest}", kind, read.bucket, read.key, body, now)


def trial(entry: str, now: float) -> Delivery:
    """A test delivery, to check whether the receiver accepts any."""
    return Delivery(f"msg_test_{entry}", "webhook.test", "", "", _body("webhook.test", now, b"{}"), now)


def _body(kind: str, at: float, data: bytes) -> bytes:
    return msgspec.json.encode(_Event(kind, rfc3339(at), msgspec.Raw(data)))
