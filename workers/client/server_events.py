"""Server-sent events, read from the bytes of an answer. Lines end in LF or CRLF, as the gateway's do.

Lines are not split as text: a caption may hold U+2028, which is a line break to Python and none here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class ServerEvent:
    """One event. ``id``: the last that was told, here or before. Without ``data`` it tells a new ``id`` only."""

    id: str
    name: str
    data: bytes


def server_events(pieces: Iterable[bytes]) -> Iterator[ServerEvent]:
    """The events of a stream, each as soon as it is complete; what is cut off at the end is none."""
    last, told, name = "", "", "message"
    data: list[bytes] = []
    for line in _lines(pieces):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match field:
            case b"id":
                last = value.decode()
            case b"event":
                name = value.decode()
            case b"data":
                data.append(value)
            case b"" if not line:
                if data or last != told:
                    yield ServerEvent(last, name, b"\n".join(data))
                told, name, data = last, "message", []
            case _:  # comments keep the connection alive, "retry" is for browsers
                pass


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = bytearray()
    for piece in pieces:
        rest += piece
        *whole, rest = rest.split(b"\n")
        for line in whole:
            yield bytes(line.removesuffix(b"\r"))
