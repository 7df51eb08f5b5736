"""Finds the records in the body of a notification, whatever carries it.

=================================  ===================================================================
body                               sent by
=================================  ===================================================================
``{"Records": [record]}``          MinIO (with ``EventName`` and ``Key``), Amazon, Ceph, RustFS, Wasabi, …
``[{"Event": [record]}]``          MinIO's Redis target, format ``access``
a record, or a list of them        forwarders, also several bodies, one a line
``{"Type", "Message"}``            Amazon SNS; ``Message`` is a body again
``{"MessageId", "Body"}``          Amazon SQS, also several, and as a function gets it; ``Body`` is a body again
``{"detail-type", "detail"}``      Amazon EventBridge
``{"specversion", "data"}``        CloudEvents; ``data`` is a body again
``{"message": {"data"}}``          Google Pub/Sub, as Storj uses it; ``data`` is a body again
``{"notif": {"Records"}}``         NooBaa
``{"events": [event]}``            Backblaze B2, Alibaba OSS
``{"action", "bucket", "object"}`` Cloudflare R2
``{"key": "/buckets/…"}``          SeaweedFS
=================================  ===================================================================

Names of fields are compared without case, hyphens and underscores. Two fields that are equal then and differ in their
value make a record unreadable. What is no notification of an S3 server is refused with its name, if it is known.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from vectordb.decoders import from_json
from workers.events.event_names import TEST_EVENT
from workers.events.foreign import alien, b2_occurrence, eventbridge_occurrence, r2_occurrence, seaweed_occurrence
from workers.events.occurrences import Occurrence, Unreadable

DEEPEST = 32  # levels of a notification's JSON; a normal one has six or seven
ENVELOPES = 6  # bodies in bodies; SNS in SQS in CloudEvents are four

_MARKS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)  # complete strings, and brackets
T = TypeVar("T")
Fields = Mapping[str, Any]


class Ignored(NamedTuple):
    """A body that concerns no object, such as Amazon's test event."""

    label: str


class Writing(NamedTuple):
    """How the sender writes keys. For both see ``Occurrence``."""

    plain: bool = False
    told: str | None = None


Found = Occurrence | Ignored | Unreadable


def found_in(data: bytes, writing: Writing = Writing(), level: int = 0) -> Iterator[Found]:  # noqa: B008 -- immutable
    """What a body reports. Never raises: what cannot be read is yielded as ``Unreadable``."""
    try:
        yield from _body(data, writing, level)
    except Unreadable as exc:
        yield exc


def _body(data: bytes, writing: Writing, level: int) -> Iterator[Found]:
    if level > ENVELOPES:
        raise Unreadable(f"more than {ENVELOPES} envelopes are inside each other")
    if _nested(data):
        raise Unreadable(f"nested more than {DEEPEST} levels deep")
    data = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    first = data[:1]
    if first == b"[":
        parts = decoded(data, list[msgspec.Raw])
        if not parts:
            raise Unreadable("an empty list")
        for part in parts:
            yield from found_in(bytes(part), writing, level + 1)
    elif first == b'"':
        yield from _inside(decoded(data, str), writing, level)
    elif first == b"{":
        yield from _objects(data, writing, level)
    elif first == b"<":
        raise Unreadable("XML or HTML, not JSON")
    else:
        decoded(data, object)
        raise Unreadable("no JSON object")


def _objects(data: bytes, writing: Writing, level: int) -> Iterator[Found]:
    """One object, or one a line."""
    lines = [line for line in data.splitlines() if line.strip()]
    if len(lines) == 1 or not all(line.startswith(b"{") for line in lines):
        yield from _object(data, writing, level)
        return
    for line in lines:
        yield from found_in(line, writing, level + 1)


def _object(data: bytes, writing: Writing, level: int) -> Iterator[Found]:
    raw = folded(decoded(data, dict[str, msgspec.Raw]))
    if "records" in raw:
        yield from _records(raw["records"], writing._replace(told=_told(raw) or writing.told), level)
        return
    if "event" in raw and bytes(raw["event"]).lstrip()[:1] == b"[":
        yield from _records(raw["event"], writing, level)
        return
    fields = folded(decoded(data, dict[str, Any]))
    kind = _text(fields.get("type")).lower()
    for test, read in _SHAPES:
        if test(fields):
            yield read(fields)
            return
    if "testevent" in _text(fields.get("event")).lower():
        yield Ignored(TEST_EVENT)
    elif kind in {"subscriptionconfirmation", "unsubscribeconfirmation"} and "message" in fields:
        raise Unreadable(
            "Amazon SNS asks to confirm a subscription: open the SubscribeURL of this message once"
            if kind.startswith("sub")
            else "Amazon SNS has ended the subscription: subscribe again to receive events"
        )
    elif "eventname" in fields or "s3" in fields:
        yield _record(fields, writing)
    elif "events" in fields and isinstance(fields["events"], list):
        for one in fields["events"]:
            yield from found_in(_encoded(one), writing._replace(told=None), level + 1)
    else:
        yield from _carried(fields, writing, level)


def _records(raw: msgspec.Raw, writing: Writing, level: int) -> Iterator[Found]:
    first = bytes(raw).lstrip()[:1]
    if first == b'"':
        yield from _inside(decoded(raw, str), writing, level)
    elif first == b"[":
        parts = decoded(raw, list[msgspec.Raw])
        for part in parts:
            yield from _each(part, writing if len(parts) == 1 else writing._replace(told=None), level)
    elif first == b"{" and bytes(raw).strip() != b"{}":
        yield from _each(raw, writing, level)
    elif bytes(raw).strip() != b"null":  # a keep-alive
        raise Unreadable("`Records` is no list of records")


def _each(part: msgspec.Raw, writing: Writing, level: int) -> Iterator[Found]:
    """One of several records: what is wrong with it does not concern the others."""
    try:
        if bytes(part).lstrip()[:1] == b'"':
            yield from _inside(decoded(part, str), writing, level)
            return
        fields = folded(decoded(part, dict[str, Any]))
        if "s3" not in fields and ({"sns", "body", "detail"} & set(fields)):
            yield from found_in(bytes(part), writing, level + 1)
        else:
            yield _record(fields, writing)
    except Unreadable as exc:
        yield exc


def _record(fields: Fields, writing: Writing) -> Found:
    name = fields.get("eventname")
    if "s3" not in fields:
        if (reason := alien(fields)) is not None:
            raise Unreadable(reason)
        if not isinstance(name, str):
            raise Unreadable("the record has no event name and no `s3`")
        return Occurrence(name, told=writing.told)
    s3 = folded(fields["s3"]) if isinstance(fields["s3"], dict) else {}
    item = folded(s3["object"]) if isinstance(s3.get("object"), dict) else {}
    where = s3.get("bucket")
    if isinstance(where, dict):
        where = folded(where)
        where = where.get("name") or where.get("arn")
    return Occurrence(
        name, where, item.get("key"), item.get("size"), item.get("etag"), item.get("versionid"),
        item.get("sequencer"), writing.plain, writing.told,
    )  # fmt: skip


def _carried(fields: Fields, writing: Writing, level: int) -> Iterator[Found]:
    """The body that an envelope carries."""
    if (reason := alien(fields)) is not None:
        raise Unreadable(reason)
    for name in ("message", "body", "sns", "notif", "data", "database64", "messages", "payload"):
        inside = fields.get(name)
        if isinstance(inside, dict) and name == "message" and "data" in folded(inside):
            yield from _base64(folded(inside)["data"], writing, level)
        elif name == "database64" and inside is not None:
            yield from _base64(inside, writing, level)
        elif isinstance(inside, dict | list) and inside:
            yield from found_in(_encoded(inside), writing, level + 1)
        elif isinstance(inside, str) and inside:
            if inside.lstrip()[:1] not in {"{", "[", '"', "\ufeff"}:
                raise Unreadable(f"its `{name}` is no notification of an S3 server: {inside[:80]!r}")
            yield from _inside(inside, writing, level)
        else:
            continue
        return
    names = ", ".join(sorted(fields)[:8]) or "none"
    raise Unreadable(f"no notification of an S3 server: its fields are {names}"[:300])


def _inside(text: str, writing: Writing, level: int) -> Iterator[Found]:
    yield from found_in(text.encode("utf-8", "replace"), writing, level + 1)


def _base64(text: Any, writing: Writing, level: int) -> Iterator[Found]:
    try:
        inside = base64.b64decode(text, validate=True)
    except (ValueError, TypeError, binascii.Error) as exc:
        raise Unreadable("the data of the message is not base64") from exc
    yield from found_in(inside, writing._replace(told=None), level + 1)


def _told(raw: Mapping[str, msgspec.Raw]) -> str | None:
    """The object that is named beside the records. Servers encode it differently, so it only confirms a record."""
    try:
        return decoded(raw["key"], str) if "key" in raw else None
    except Unreadable:
        return None


def folded(fields: Mapping[str, T]) -> dict[str, T]:
    """The fields by their name without case, hyphens and underscores. Raises ``Unreadable`` if two contradict."""
    found: dict[str, T] = {}
    for name, value in fields.items():
        plain = name.lower().replace("_", "").replace("-", "")
        if plain in found and found[plain] != value:
            raise Unreadable(f"two fields {name!r:.60} differ in their value")
        found[plain] = value
    return found


def decoded(data: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Decode JSON. Raises ``Unreadable``."""
    try:
        return from_json(data, kind)
    except (msgspec.MsgspecError, UnicodeError, ValueError) as exc:
        raise Unreadable(f"not the JSON of a notification: {exc}"[:300]) from exc


def _encoded(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (
        msgspec.MsgspecError,
        OverflowError,
        UnicodeError,
        ValueError,
    ) as exc:  # for example a number of 100 digits
        raise Unreadable(f"a value in the notification is out of range: {exc}"[:300]) from exc


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


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


_SHAPES: tuple[tuple[Callable[[Fields], bool], Callable[[Fields], Found]], ...] = (
    (lambda f: "detailtype" in f and "detail" in f, lambda f: eventbridge_occurrence(f, folded)),
    (lambda f: _text(f.get("eventtype")).lower().startswith("b2:"), b2_occurrence),
    (lambda f: {"action", "bucket", "object"} <= set(f), lambda f: r2_occurrence(f, folded)),
    (lambda f: _text(f.get("key")).startswith("/buckets/") and "eventtype" in f, seaweed_occurrence),
)
