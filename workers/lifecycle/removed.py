"""What the feed tells of an object that was removed: what its record said of it, as far as it is known."""

from __future__ import annotations

import msgspec

from tasks.message_parts import place_of
from vectordb.decoders import from_json
from workers.lifecycle.record import DamagedRecord
from workers.lifecycle.stored_record import read_record


class Removed(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of the last version that had a record. ``file_name``, ``client_id``, ``metadata``: see ``Record``."""

    etag: str | None = None
    version_id: str | None = None
    file_name: str | None = None
    client_id: str | None = None
    metadata: dict[str, str] | None = None

    def fields(self) -> dict[str, object]:
        """Those that are known."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}


NOTHING = Removed()


def removal(oid: str, about: Removed) -> dict[str, object]:
    """An object that was removed, as clients and receivers are told."""
    bucket, key = place_of(oid)
    return {"bucket": bucket, "key": key, "state": "removed", **about.fields()}


def removed_bytes(oid: str, stored: bytes) -> bytes:
    """What is told of an object with this stored record, as JSON; empty if nothing is known."""
    if not stored:
        return b""
    try:
        record = read_record(oid, stored)
    except DamagedRecord:
        return b""
    return msgspec.json.encode(
        Removed(
            record.etag or None, record.version_id, record.file_name or None, record.client_id or None,
            record.metadata or None,
        )
    )  # fmt: skip


def read_removed(body: bytes | None) -> Removed:
    """The inverse. Entries of older versions have nothing."""
    try:
        return from_json(body, Removed) if body else NOTHING
    except (msgspec.DecodeError, UnicodeDecodeError):
        return NOTHING
