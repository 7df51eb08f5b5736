"""Reads the notifications that MinIO and other S3 servers send: bytes in, ``Told`` out, and no error for any bytes.

All sources carry the same records; they differ in what is around them and in how the key is written:

=============  =====================================  ==================================
source         what is around the records             key
=============  =====================================  ==================================
webhook        ``{"EventName", "Key", "Records"}``    form-encoded (``+``, ``%2F``)
listen API     ``{"Records"}``, ``null``: keep-alive  as it is
Redis, access  ``[{"Event": records, "EventTime"}]``  form-encoded
Redis, hash    ``{"Records"}``                        form-encoded
=============  =====================================  ==================================

The top-level ``Key`` is never read: servers disagree on how it is written. What the record says is believed as far as
it goes, which is not far: it is a hint, and the bucket is asked where the hint is not enough.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeVar
from urllib.parse import unquote_plus

import msgspec

from workers.lifecycle.event import ObjectEvent
from workers.stores.store import folder_marker

LARGEST = 2**20  # bytes of a notification; an honest one has one or two thousand
DEEPEST = 32  # levels of a notification's JSON; an honest one has six or seven
LONGEST_KEY = 1024  # bytes of UTF-8, as S3 has it
SEQUENCE_DIGITS = 32

BRINGS_BYTES = frozenset({"Put", "Post", "Copy", "CompleteMultipartUpload"})
# NoOP: asked to remove what was not there. The bucket is asked before anything is forgotten, so believing it costs
# one look, and mends the loss of the event that told of the removal itself.
REMOVES = frozenset({"Delete", "DeleteMarkerCreated", "DeleteAllVersions", "NoOP"})
# they change what is said of an object and not the object; tags that are written back would come round for ever
CHANGES_NO_BYTES = frozenset({"PutTagging", "DeleteTagging", "PutRetention", "PutLegalHold", "PutAcl"})

OTHER_BUCKET = "other-bucket"
OTHER_EVENT = "other-event"
FOLDER_MARKER = "folder-marker"

_MARKS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)  # texts as a whole, and brackets

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


class Told(msgspec.Struct, frozen=True):
    """What a notification tells: events, why records were left alone, and what could not be read, with the reason.

    ``ignored`` holds words out of a small set (``PutTagging``, ``folder-marker``, …), fit to be counted by.
    """

    events: tuple[ObjectEvent, ...] = ()
    ignored: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()


def webhook(body: bytes, bucket: str) -> Told:
    """The body of a webhook's POST."""
    return _told(body, bucket, _Body)


def listened(line: bytes, bucket: str) -> Told:
    """A line of the listen API; keep-alives and empty lines tell nothing."""
    return _told(line, bucket, _Body, encoded=False) if line.strip() else Told()


def access_entry(entry: bytes, bucket: str) -> Told:
    """An entry of the list that the Redis target fills in its format ``access``."""
    return _told(entry, bucket, list[_Access])


def namespace_value(value: bytes, bucket: str) -> Told:
    """A value of the hash that the Redis target keeps in its format ``namespace``.

    It tells what is there rather than what happened: a change of tags overwrites the news of the upload, so here it
    stands for the object too. The caller must compare etags with what it knows already.
    """
    return _told(value, bucket, _Body, state=True)


def padded(sequencer: str) -> str:
    """A hexadecimal sequencer so that texts compare in the order of the writes; empty when it is none.

    Of two the shorter one counts as if zeros followed it, as Amazon's description of event messages has it; MinIO's
    all have one length.
    """
    digits = sequencer.strip().lower()
    if not 0 < len(digits) <= SEQUENCE_DIGITS or not set(digits) <= set("0123456789abcdef"):
        return ""
    return digits.ljust(SEQUENCE_DIGITS, "0")


def _told(
    data: bytes, bucket: str, around: type[_Body | list[_Access]], *, encoded: bool = True, state: bool = False
) -> Told:
    if len(data) > LARGEST:
        return Told(rejected=(f"larger than {LARGEST} bytes",))
    if _nested(data):
        return Told(rejected=(f"nested more than {DEEPEST} levels deep",))
    try:
        found = _decoded(data, around)
    except _Unreadable as exc:
        return Told(rejected=(str(exc),))
    if isinstance(found, list):
        records = [record for entry in found for record in entry.event]
    else:
        records = found.records or []
    events, ignored, rejected = [], [], []
    for raw in records:
        try:
            one = _event(_decoded(raw, _Record), bucket, encoded=encoded, state=state)
        except _Unreadable as exc:
            rejected.append(str(exc))
            continue
        if isinstance(one, str):
            ignored.append(one)
        else:
            events.append(one)
    return Told(tuple(events), tuple(ignored), tuple(rejected))


def _nested(data: bytes) -> bool:
    """Whether JSON is nested deeper than ``DEEPEST``: how deep a parser gets depends on the interpreter."""
    if data.count(b"[") + data.count(b"{") <= DEEPEST:
        return False
    depth = 0
    for mark in _MARKS.finditer(data):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(mark[0], 0)
        if depth > DEEPEST:
            return True
    return False


class _Unreadable(Exception):
    """Why; it does not leave this module."""


def _decoded(data: bytes | msgspec.Raw, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeError) as exc:
        raise _Unreadable(str(exc)) from exc


def _event(record: _Record, bucket: str, *, encoded: bool, state: bool) -> ObjectEvent | str:
    """The event, or why the record is left alone."""
    kind = _kind(record.event_name, state=state)
    if kind is None:
        action = record.event_name.rpartition(":")[2]
        return action if action in CHANGES_NO_BYTES else OTHER_EVENT
    if record.s3.bucket.name != bucket:
        return OTHER_BUCKET
    told = record.s3.object
    key = _key(told.key, encoded=encoded)
    version_id = told.version_id if told.version_id not in {"", "null"} else None
    sequence = padded(told.sequencer or "")
    if kind == "removed":
        return ObjectEvent("removed", bucket, key, version_id=version_id, sequence=sequence)
    if folder_marker(key, told.size):
        return FOLDER_MARKER
    # an event that cannot be put in order may be an old one: without its etag the bucket is asked
    etag = (told.e_tag or "").strip('"') if sequence else ""
    return ObjectEvent("created", bucket, key, etag, told.size or 0, version_id, sequence)  # no size: no bytes


def _kind(name: str, *, state: bool) -> Literal["created", "removed"] | None:
    group, _, action = name.removeprefix("s3:").partition(":")  # Amazon leaves the "s3:" out
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
