"""Parses the notifications of MinIO and other S3 servers: bytes in, ``Notification`` out. Never raises.

All sources carry the same records. They differ in the envelope and in the encoding of the key:

=============  =====================================  ==================================
source         envelope                               key
=============  =====================================  ==================================
webhook        ``{"EventName", "Key", "Records"}``    form-encoded (``+``, ``%2F``)
listen API     ``{"Records"}``, ``null``: keep-alive  not encoded
Redis, access  ``[{"Event": records, "EventTime"}]``  form-encoded
Redis, hash    ``{"Records"}``                        form-encoded
=============  =====================================  ==================================

The top-level ``Key`` is never read, because servers encode it differently. A record is only a hint: where it is not
sufficient, the bucket is asked.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeVar
from urllib.parse import unquote_plus

import msgspec

from vectordb.decoders import from_json
from workers.lifecycle.event import ObjectEvent
from workers.stores.store import folder_marker

LARGEST = 2**20  # bytes of a notification; a normal one has one or two thousand
DEEPEST = 32  # levels of a notification's JSON; a normal one has six or seven
LONGEST_KEY = 1024  # bytes of UTF-8, the limit of S3
SEQUENCE_DIGITS = 32

BRINGS_BYTES = frozenset({"Put", "Post", "Copy", "CompleteMultipartUpload"})
# NoOP: a request to remove an object that did not exist. The bucket is asked before anything is deleted, so accepting
# it costs one request. It also repairs the loss of the original removal event.
REMOVES = frozenset({"Delete", "DeleteMarkerCreated", "DeleteAllVersions", "NoOP"})
# these change metadata, not the object; tags that wildtag writes back would otherwise cause a loop
CHANGES_NO_BYTES = frozenset({"PutTagging", "DeleteTagging", "PutRetention", "PutLegalHold", "PutAcl"})

OTHER_BUCKET = "other-bucket"
OTHER_EVENT = "other-event"
FOLDER_MARKER = "folder-marker"

_MARKS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)  # complete strings, and brackets

Short = Annotated[str, msgspec.Meta(max_length=1024)]
T = TypeVar("T")


class _Bucket(msgspec.Struct):
    name: Short


class _Object(msgspec.Struct, rename="camel"):
    key: Annotated[str, msgspec.Meta(max_length=3 * LONGEST_KEY)]  # every byte as %XX
    size: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    e_tag: Short | None = None
    version_id: Short | None = None
    sequencer: Short | None = None


class _S3(msgspec.Struct):
    bucket: _Bucket
    object: _Object


class _Record(msgspec.Struct, rename="camel"):
    event_name: Short
    s3: _S3


class _Body(msgspec.Struct, rename="pascal"):
    records: list[msgspec.Raw] | None


class _Access(msgspec.Struct, rename="pascal"):
    event: list[msgspec.Raw]


class Notification(msgspec.Struct, frozen=True):
    """A parsed notification: events, reasons for ignored records, and reasons for rejected ones.

    ``ignored`` holds words from a small set (``PutTagging``, ``folder-marker``, …), suitable as metric labels. A
    folder marker is ignored and is also a removal: it may have overwritten an object with bytes.
    """

    events: tuple[ObjectEvent, ...] = ()
    ignored: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()


def webhook(body: bytes, bucket: str) -> Notification:
    """Parse the body of a webhook request."""
    return _parsed(body, bucket, _Body)


def listen_line(line: bytes, bucket: str) -> Notification:
    """Parse a line of the listen API. Keep-alives and empty lines give no events."""
    return _parsed(line, bucket, _Body, encoded=False) if line.strip() else Notification()


def access_entry(entry: bytes, bucket: str) -> Notification:
    """Parse an entry of the list that the Redis target writes with the format ``access``."""
    return _parsed(entry, bucket, list[_Access])


def namespace_value(value: bytes, bucket: str) -> Notification:
    """Parse a value of the hash that the Redis target writes with the format ``namespace``.

    The hash holds the current state, not the history: a tagging event overwrites the upload's event, so here it
    stands for the object too. The caller must compare ETags with those it knows.
    """
    return _parsed(value, bucket, _Body, state=True)


def padded(sequencer: str) -> str:
    """Pad a hexadecimal sequencer so that string order is write order; empty if it is not hexadecimal.

    The shorter of two is treated as if followed by zeros, as Amazon documents; all of MinIO's have one length.
    """
    digits = sequencer.strip().lower()
    if not 0 < len(digits) <= SEQUENCE_DIGITS or not set(digits) <= set("0123456789abcdef"):
        return ""
    return digits.ljust(SEQUENCE_DIGITS, "0")


def _parsed(
    data: bytes, bucket: str, around: type[_Body | list[_Access]], *, encoded: bool = True, state: bool = False
) -> Notification:
    if len(data) > LARGEST:
        return Notification(rejected=(f"larger than {LARGEST} bytes",))
    if _nested(data):
        return Notification(rejected=(f"nested more than {DEEPEST} levels deep",))
    try:
        found = _decoded(data, around)
    except _Unreadable as exc:
        return Notification(rejected=(str(exc),))
    if isinstance(found, list):
        records = [record for entry in found for record in entry.event]
    else:
        records = found.records or []
    events, ignored, rejected = [], [], []
    for raw in records:
        try:
            record = _decoded(raw, _Record)
            one = _event(record, bucket, encoded=encoded, state=state)
        except _Unreadable as exc:
            rejected.append(str(exc))
            continue
        if isinstance(one, str):
            ignored.append(one)
            continue
        events.append(one)
        if one.kind == "removed" and _kind(record.event_name, state=state) == "created":
            ignored.append(FOLDER_MARKER)
    return Notification(tuple(events), tuple(ignored), tuple(rejected))


def _nested(data: bytes) -> bool:
    """Whether the JSON is nested deeper than ``DEEPEST``. A parser's own limit depends on the interpreter."""
    if data.count(b"[") + data.count(b"{") <= DEEPEST:
        return False
    depth = 0
    for mark in _MARKS.finditer(data):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(mark[0], 0)
        if depth > DEEPEST:
            return True
    return False


class _Unreadable(Exception):
    """A record cannot be parsed; carries the reason and does not leave this module."""


def _decoded(data: bytes | msgspec.Raw, kind: type[T]) -> T:
    try:
        return from_json(data, kind)
    except (msgspec.MsgspecError, UnicodeError) as exc:
        raise _Unreadable(str(exc)) from exc


def _event(record: _Record, bucket: str, *, encoded: bool, state: bool) -> ObjectEvent | str:
    """Convert a record to an event, or return the reason to ignore it. A folder marker is a removal."""
    kind = _kind(record.event_name, state=state)
    if kind is None:
        action = record.event_name.rpartition(":")[2]
        return action if action in CHANGES_NO_BYTES else OTHER_EVENT
    if record.s3.bucket.name != bucket:
        return OTHER_BUCKET
    item = record.s3.object
    key = _key(item.key, encoded=encoded)
    version_id = item.version_id if item.version_id not in {"", "null"} else None
    sequence = padded(item.sequencer or "")
    if kind == "removed" or folder_marker(key, item.size):
        return ObjectEvent("removed", bucket, key, version_id=version_id, sequence=sequence)
    # without a sequencer the event may be an old one: drop its ETag, so that the bucket is asked
    etag = (item.e_tag or "").strip('"') if sequence else ""
    return ObjectEvent("created", bucket, key, etag, item.size or 0, version_id, sequence)  # no size: no bytes


def _kind(name: str, *, state: bool) -> Literal["created", "removed"] | None:
    group, _, action = name.removeprefix("s3:").partition(":")  # Amazon omits the "s3:"
    if group == "ObjectCreated" and (action in BRINGS_BYTES or (state and action in CHANGES_NO_BYTES)):
        return "created"
    return "removed" if group == "ObjectRemoved" and action in REMOVES else None


def _key(written: str, *, encoded: bool) -> str:
    try:
        key = unquote_plus(written, errors="strict") if encoded else written
        length = len(key.encode())
    except UnicodeError as exc:
        raise _Unreadable("the key is not UTF-8") from exc
    if not length:
        raise _Unreadable("the key is empty")
    if length > LONGEST_KEY:
        raise _Unreadable(f"the key has {length} bytes, more than {LONGEST_KEY}")
    return key
