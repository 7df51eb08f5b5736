"""Reads the notifications of MinIO and other S3 servers: bytes in, ``Notification`` out. Never raises.

All sources read the same records, in any envelope (``workers.events.envelopes``). They differ in the encoding of
keys:

=============  =====================================  ==================================
source         usual body                             key
=============  =====================================  ==================================
webhook        ``{"EventName", "Key", "Records"}``    form-encoded (``+``, ``%2F``)
listen API     ``{"Records"}``, ``null``: keep-alive  not encoded
Redis, access  ``[{"Event": records, "EventTime"}]``  form-encoded
Redis, hash    ``{"Records"}``                        form-encoded
=============  =====================================  ==================================

Not every server follows that. Where a key can be read in another way, the event carries the other reading, too, and
the dispatcher tries it if nothing has the first one. The object that is named outside of the record (``Key``, or the
field of the hash) only confirms a reading, because servers encode it differently. A record is only a hint: where it
is not sufficient, the bucket is asked. If it does not say which object it is about, ``sweeps`` says what to compare.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from workers.events.envelopes import DEEPEST, Found, Ignored, Writing, found_in
from workers.events.event_names import OTHER_EVENT
from workers.events.occurrences import (
    FOLDER_MARKER,
    LONGEST_KEY,
    OTHER_BUCKET,
    Unreadable,
    event_of,
    padded,
)
from workers.lifecycle.event import ObjectEvent

__all__ = [
    "DEEPEST", "FOLDER_MARKER", "LARGEST", "LONGEST_KEY", "OTHER_BUCKET", "OTHER_EVENT", "Notification",
    "access_entry", "listen_line", "namespace_value", "padded", "too_large", "webhook",
]  # fmt: skip

LARGEST = 2**20  # bytes of a notification; a normal one has one or two thousand
MOST_REJECTED = 1000  # records of a notification; a body of brackets has hundreds of thousands
SWEPT = "the bucket is compared with its records instead"


class Notification(msgspec.Struct, frozen=True):
    """A parsed notification: events, reasons for ignored records, and reasons for rejected ones.

    ``ignored`` holds words from a small set (``PutTagging``, ``folder-marker``, …), suitable as metric labels. A
    folder marker is ignored and is also a removal: it may have overwritten an object with bytes. ``sweeps``: prefixes
    of keys, of which rejected records report a change; an empty one means the whole bucket.
    """

    events: tuple[ObjectEvent, ...] = ()
    ignored: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    sweeps: tuple[str, ...] = ()


def webhook(body: bytes, bucket: str) -> Notification:
    """Parse the body of a webhook request."""
    return _read(body, bucket)


def listen_line(line: bytes, bucket: str) -> Notification:
    """Parse a line of the listen API. Keep-alives and empty lines give no events."""
    return _read(line, bucket, plain=True) if line.strip() else Notification()


def access_entry(entry: bytes, bucket: str) -> Notification:
    """Parse an entry of the list that the Redis target writes with the format ``access``."""
    return _read(entry, bucket)


def namespace_value(value: bytes, bucket: str, field: str | None = None) -> Notification:
    """Parse a value of the hash that the Redis target writes with the format ``namespace``, and its ``field``.

    The hash holds the current state, not the history: a tagging event overwrites the upload's event, so here it
    stands for the object too. The caller must compare ETags with those it knows.
    """
    return _read(value, bucket, told=field, state=True)


def too_large() -> Notification:
    """The notification of more than ``LARGEST`` bytes. Nobody knows what it reports, so all is compared."""
    return Notification(rejected=(f"larger than {LARGEST} bytes",), sweeps=("",))


def _read(
    data: bytes, bucket: str, *, plain: bool = False, told: str | None = None, state: bool = False
) -> Notification:
    if len(data) > LARGEST:
        return too_large()
    return _notification(found_in(data, Writing(plain, told)), bucket, state=state)


def _notification(found: Iterable[Found], bucket: str, *, state: bool) -> Notification:
    events: list[ObjectEvent] = []
    ignored: list[str] = []
    rejected: list[str] = []
    sweeps: list[str] = []
    for one in found:
        try:
            if isinstance(one, Unreadable):
                raise one
            if isinstance(one, Ignored):
                ignored.append(one.label)
                continue
            event, reason = event_of(one, bucket, state=state)
        except Unreadable as exc:
            rejected.append(str(exc) if exc.prefix is None else f"{exc}; {SWEPT}")
            if exc.prefix is not None:
                sweeps.append(exc.prefix)
            if len(rejected) < MOST_REJECTED:
                continue
            rejected.append(f"more than {MOST_REJECTED} faults: the rest is not read; {SWEPT}")
            return Notification(tuple(events), tuple(ignored), tuple(rejected), ("",))
        if event is not None:
            events.append(event)
        if reason:
            ignored.append(reason)
    return Notification(tuple(events), tuple(ignored), tuple(rejected), tuple(dict.fromkeys(sweeps)))
