"""What led to an object that waits for its segmentation, as it is stored beside the queue."""

from __future__ import annotations

import msgspec

from tasks.message_parts import Origin
from vectordb.decoders import from_msgpack


def packed_origin(origin: Origin | None) -> bytes:
    """For the script that puts objects on the queue; empty if nothing is known."""
    return msgspec.msgpack.encode(origin) if origin is not None and (origin.request or origin.trace) else b""


def stored_origin(stored: bytes | None, etag: str) -> Origin | None:
    """What is stored, if it is of the version with this ETag."""
    version, _, packed = (stored or b"").partition(b"\0")
    if not packed or version != etag.encode("utf-8", "surrogateescape"):
        return None
    try:
        return from_msgpack(packed, Origin)
    except (msgspec.DecodeError, UnicodeDecodeError):  # of another release
        return None
