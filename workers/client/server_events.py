"""Parses server-sent events from the bytes of a response. Lines end in LF or CRLF.

Lines are split as bytes: a caption may contain U+2028, which is a line break for ``str.splitlines`` but not here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class ServerEvent:
    """One event. ``id``: the last id so far. An event without ``data`` only sets the id."""

    id: str
    name: str
    data: bytes


def server_events(pieces: Iterable[bytes]) -> Iterator[ServerEvent]:
    """The events of a stream, each as soon as it is complete. A truncated event at the end is dropped."""
    last, sent, name = "", "", "message"
    data: list[bytes] = []
    for line in _lines(pieces):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match field:
            case b"id":
                last = value.decode(errors="replace")
            case b"event":
                name = value.decode(errors="replace")
            case b"data":
                data.append(value)
            case b"" if not line:
                if data or last != sent:
                    yield ServerEvent(last, name, b"\n".join(data))
                sent, name, data = last, "message", []
            case _:  # comments keep the connection alive, "retry" is for browsers
                pass


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = bytearray()
    for piece in pieces:
        rest += piece
        *whole, rest = rest.split(b"\n")
        for line in whole:
            yield bytes(line.removesuffix(b"\r"))
