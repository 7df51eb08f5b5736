"""A delivery: what is POSTed for one entry of the feed, and how its attempts went."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import msgspec

from workers.lifecycle.record import current, decode


class Delivery(msgspec.Struct, frozen=True):
    """One body on its way. ``id`` stays the same over all attempts: receivers know by it what they have had.

    ``since``: when it was taken from the feed (Unix seconds); ``attempts``: failed ones; ``reason``: of the last one.
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
    timestamp: datetime
    data: msgspec.Raw


def delivery_of(entry: str, record: bytes, now: float) -> Delivery:
    """What tells of an entry of the feed, whose body is a record's JSON. The same entry gives the same id.

    The id has a digest beside the entry's own, since two feeds may number alike and have one receiver.
    """
    read = decode(record)
    kind = f"object.{read.state}"
    at = int(entry.partition("-")[0]) / 1000
    digest = hashlib.sha256(_body(kind, at, record)).hexdigest()[:16]
    body = _body(kind, at, current(record))
    return Delivery(f"msg_{entry.replace('-', '_')}_{digest}", kind, read.bucket, read.key, body, now)


def trial(entry: str, now: float) -> Delivery:
    """A delivery by which a person sees whether the receiver takes any."""
    return Delivery(f"msg_test_{entry}", "webhook.test", "", "", _body("webhook.test", now, b"{}"), now)


def _body(kind: str, at: float, data: bytes) -> bytes:
    return msgspec.json.encode(_Event(kind, datetime.fromtimestamp(at, UTC), msgspec.Raw(data)))
