"""A delivery: the body to POST for one event, and the state of its attempts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from workers.lifecycle.damaged_records import record_in_feed
from workers.lifecycle.record_view import public_json
from workers.lifecycle.removed import read_removed, removal
from workers.lifecycle.times import rfc3339
from workers.redis.connection import text
from workers.redis.streams import added_at
from workers.settings.webhook_kinds import BATCH, REMOVED


class Delivery(msgspec.Struct, frozen=True):
    """One body to deliver. ``id`` is the same for all attempts, so receivers can detect repetitions.

    ``since``: when it was read from the feed (Unix seconds); ``attempts``: failed ones; ``reason``: of the last
    failure. ``batch``: the id of a finished batch; then there is no ``bucket`` and ``key``.
    """

    id: str
    type: str
    bucket: str
    key: str
    body: bytes
    since: float
    attempts: int = 0
    reason: str = ""
    batch: str = ""

    @property
    def subject(self) -> str:
        """What it is about, for people."""
        return subject_of(self.batch, self.bucket, self.key)


def subject_of(batch: str, bucket: str, key: str) -> str:
    """A finished batch, or else an object, in words."""
    return f"batch {batch}" if batch else f"{bucket}/{key}"


class _Event(msgspec.Struct):
    type: str
    timestamp: str
    data: msgspec.Raw


def kind_of(fields: Mapping[bytes, bytes]) -> str:
    """The kind of event of an entry of the feed or of the finished batches."""
    return f"object.{text(fields[b'state'])}" if b"state" in fields else BATCH


def delivery_from(entry: str, fields: Mapping[bytes, bytes], now: float) -> Delivery:
    """The delivery of an entry of the feed or of the finished batches. Raises ``DamagedRecord``."""
    kind = kind_of(fields)
    if kind == BATCH:
        return batch_delivery(entry, text(fields[b"batch"]), fields[b"body"], now)
    if kind == REMOVED:
        return removal_delivery(entry, text(fields[b"oid"]), fields.get(b"removed", b""), now)
    return delivery_of(entry, text(fields[b"oid"]), fields[b"body"], now)


def delivery_of(entry: str, oid: str, body: bytes, now: float) -> Delivery:
    """The delivery of a feed entry with a record. The same entry always has the same id.

    The id includes a digest, because two feeds may use the same numbers and have one receiver. Raises
    ``DamagedRecord``.
    """
    read = record_in_feed(oid, body)
    kind = f"object.{read.state}"
    at = added_at(entry)
    # of what is stored: another version of wildtag may write the same record in other words
    digested = _body(kind, at, body) if body.startswith(b"{") else body
    return Delivery(_id(entry, digested), kind, read.bucket, read.key, _body(kind, at, public_json(read)), now)


def removal_delivery(entry: str, oid: str, about: bytes, now: float) -> Delivery:
    """The delivery of a feed entry about an object that was removed."""
    told = removal(oid, read_removed(about))
    body = _body(REMOVED, added_at(entry), msgspec.json.encode(told))
    return Delivery(
        _id(entry, oid.encode("utf-8", "surrogateescape") + about), REMOVED, str(told["bucket"]), str(told["key"]),
        body, now,
    )  # fmt: skip


def batch_delivery(entry: str, batch: str, data: bytes, now: float) -> Delivery:
    """The delivery of a finished batch, whose id no other has, in any wildtag."""
    return Delivery(f"msg_batch_{batch}", BATCH, "", "", _body(BATCH, added_at(entry), data), now, batch=batch)


def trial(entry: str, now: float) -> Delivery:
    """A test delivery, to check whether the receiver accepts any."""
    return Delivery(f"msg_test_{entry}", "webhook.test", "", "", _body("webhook.test", now, b"{}"), now)


def _id(entry: str, digested: bytes) -> str:
    return f"msg_{entry.replace('-', '_')}_{hashlib.sha256(digested).hexdigest()[:16]}"


def _body(kind: str, at: float, data: bytes) -> bytes:
    return msgspec.json.encode(_Event(kind, rfc3339(at), msgspec.Raw(data)))
