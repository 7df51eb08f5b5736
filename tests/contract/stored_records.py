"""Stored records that a fault, or another version of wildtag, has written."""

from __future__ import annotations

from typing import Any

import msgspec

from workers.lifecycle.stored_record import Head, head_of, packed, read_rows, unreadable_body
from workers.redis.keys import Keys


def head(client: Any, keys: Keys, oid: str) -> Head:
    """The head of the record of an object."""
    return head_of(client.get(keys.record(oid)))


def rows(client: Any, keys: Keys, oid: str) -> list[Any]:
    """The rows under which it is found."""
    found: list[Any] = read_rows(client.get(keys.record(oid)))[1]
    return found


def rewrite(client: Any, keys: Keys, oid: str, body: bytes, rows: bytes = b"[]", **fields: Any) -> None:
    """Give a record this body and these rows, and other fields in its head."""
    changed = msgspec.structs.replace(head(client, keys, oid), **fields)
    client.set(keys.record(oid), packed(changed, unreadable_body(body) + b"\n" + rows))


def damage(client: Any, keys: Keys, oid: str, body: bytes = b"{") -> None:
    """Make the body of a record unreadable."""
    rewrite(client, keys, oid, body, b"{")
