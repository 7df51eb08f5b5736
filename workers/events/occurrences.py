"""One record of a notification, in the terms of no server, and the event that it stands for.

What is certain is read. A record that does not say which object it is about is rejected, and says which part of the
bucket must be compared with its records instead. Everything else in a record is only a hint: an event without a
usable ETag and sequencer makes the dispatcher ask the bucket.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from workers.events.event_names import meaning
from workers.lifecycle.event import ObjectEvent
from workers.stores.store import folder_marker

LONGEST_KEY = 1024  # bytes of UTF-8, the limit of S3
LONGEST_WRITTEN = 3 * LONGEST_KEY  # every byte as %XX
LONGEST_VALUE = 1024  # characters of every other value
LARGEST_SIZE = 2**63 - 1
SEQUENCE_DIGITS = 32

OTHER_BUCKET = "other-bucket"
FOLDER_MARKER = "folder-marker"

# what no encoder of forms leaves in a key: blanks, control characters, and percent signs that begin no byte
_NEVER_ENCODED = re.compile(r"[\x00-\x20\x7f]|%(?![0-9A-Fa-f]{2})")
_BYTE = re.compile(r"%[0-9A-Fa-f]{2}")


class Occurrence(NamedTuple):
    """What one record says, as it is written there. ``None``: it does not say it.

    ``plain``: the sender is known to write keys as they are; otherwise form-encoded (``+``, ``%2F``). ``told``: the
    object as ``bucket/key``, if the sender also writes it outside of the record.
    """

    name: Any = None
    bucket: Any = None
    key: Any = None
    size: Any = None
    etag: Any = None
    version_id: Any = None
    sequencer: Any = None
    plain: bool = False
    told: str | None = None


class Unreadable(Exception):
    """A record or a body cannot be read; carries the reason.

    ``prefix``: of the keys of the bucket to compare instead; ``None`` if it is not known to be about the bucket.
    """

    def __init__(self, reason: str, prefix: str | None = None) -> None:
        super().__init__(reason)
        self.prefix = prefix


def event_of(one: Occurrence, bucket: str, *, state: bool = False) -> tuple[ObjectEvent | None, str]:
    """The event that a record stands for, and why the record itself is none. One of both may be missing.

    An object with the key of a folder and without bytes is a folder marker: it is ignored, and stands for the removal
    of an object that it may have overwritten. ``state``: see ``meaning``. Raises ``Unreadable``.
    """
    name = one.name if isinstance(one.name, str) else ""
    meant = meaning(name[:LONGEST_VALUE], state=state)
    if name.strip() and meant.kind is None:
        return None, meant.label
    place = bucket_name(one.bucket)
    if place is None and isinstance(one.told, str) and one.told.startswith(f"{bucket}/"):
        place = bucket
    if place is None:
        raise Unreadable("the record names no bucket")
    if place != bucket:
        return None, OTHER_BUCKET
    if meant.kind is None or not name.strip():
        raise Unreadable("the record does not say what happened: it has no event name", "")
    told = one.told[len(bucket) + 1 :] if isinstance(one.told, str) and one.told.startswith(f"{bucket}/") else None
    key, *others = _readings(one.key, told, plain=one.plain)
    size, version, sequence = _size(one.size), _short(one.version_id), padded(_short(one.sequencer))
    version_id = version if version not in {"", "null"} else None
    if meant.kind == "removed" or folder_marker(key, size):
        event = ObjectEvent(
            "removed", bucket, key, version_id=version_id, sequence=sequence, other_keys=tuple(others)
        )
        return event, FOLDER_MARKER if meant.kind == "created" else ""
    # without a sequencer the event may be an old one: drop its ETag, so that the bucket is asked
    etag = _short(one.etag).removeprefix("W/").strip('"') if sequence else ""
    return ObjectEvent("created", bucket, key, etag, size, version_id, sequence, other_keys=tuple(others)), ""


def bucket_name(written: Any) -> str | None:
    """The name of a bucket: the text itself, or the end of its ARN."""
    if not isinstance(written, str) or not written.strip():
        return None
    if not written.startswith("arn:"):
        return written
    resource = written.split(":", 5)[-1] if written.count(":") >= 5 else ""
    name = resource.partition("/")[0].rpartition(":")[2]
    return None if not name or "accesspoint" in resource else name


def padded(sequencer: str) -> str:
    """Pad a hexadecimal sequencer so that string order is write order; empty if it is not hexadecimal.

    The shorter of two is treated as if followed by zeros, as Amazon documents; all of MinIO's have one length.
    """
    digits = sequencer.strip().lower()
    if not 0 < len(digits) <= SEQUENCE_DIGITS or not set(digits) <= set("0123456789abcdef"):
        return ""
    return digits.ljust(SEQUENCE_DIGITS, "0")


def _readings(written: Any, told: str | None, *, plain: bool) -> list[str]:
    """The keys that a record may mean, the certain one first. Raises ``Unreadable`` if there is none."""
    if not isinstance(written, str) or not written:
        if told is not None and told and not told.endswith("/"):
            return _readings(told, None, plain=True)
        why = "the key is empty" if written in ("", None) else "the key is not a text"
        raise Unreadable(f"{why}: the record does not say which object it is about", told or "")
    encoded = _decoded(written)
    as_written = plain or encoded is None or _NEVER_ENCODED.search(written) is not None
    # some servers write only blanks as ``+`` outside of the record: then its percent signs are those of the key
    if told == written and _BYTE.search(written):
        as_written = True
    keys = [written, encoded] if as_written else [encoded, written]
    if told is not None and told == encoded != written:
        keys = [encoded]
    if written.startswith("/"):
        keys.append(written[1:])
    found = [key for key in dict.fromkeys(keys) if key and _fits(key)]
    if not found:
        raise Unreadable(f"the key has more than {LONGEST_KEY} bytes, or is not UTF-8", "")
    return found


def _decoded(written: str) -> str | None:
    if len(written) > LONGEST_WRITTEN:
        return None
    try:
        return unquote_plus(written, errors="strict")
    except UnicodeError:
        return None


def _fits(key: str) -> bool:
    try:
        return len(key.encode()) <= LONGEST_KEY
    except UnicodeEncodeError:
        return False


def _size(written: Any) -> int:
    """The size; 0 if there is none, as servers leave it out of empty objects. Raises ``Unreadable``."""
    if written is None:
        return 0
    if isinstance(written, str) and written.isascii() and written.isdigit() and len(written) < 20:
        written = int(written)
    if isinstance(written, float) and written.is_integer():
        written = int(written)
    if isinstance(written, bool) or not isinstance(written, int) or not 0 <= written <= LARGEST_SIZE:
        raise Unreadable("the size is no number of bytes", "")
    return written


def _short(written: Any) -> str:
    return written if isinstance(written, str) and len(written) <= LONGEST_VALUE else ""
