"""What the parent and a process that decodes send each other. Bytes of images go through shared memory, not here."""

from __future__ import annotations

import os
import struct
from typing import TypeVar

import msgspec

from tasks.message_parts import Media
from vectordb.decoders import from_msgpack

HEAD = struct.Struct("<I")
MOST = 2**20  # bytes of a message
T = TypeVar("T")


class Limits(msgspec.Struct, frozen=True):
    """What the processes are started with. ``memory``: bytes for one image. ``readable``: folders and files."""

    memory: int
    readable: tuple[str, ...]
    video: bool = False


class Ready(msgspec.Struct, frozen=True):
    """The first message of a process. ``isolated``: by what."""

    isolated: tuple[str, ...]


class DecodeRequest(msgspec.Struct, frozen=True):
    """Decode the first ``size`` bytes of the memory that the parent writes.

    ``thumbnail``: pixels of the longer side of a WebP that is wanted in place of pixels; 0: pixels.
    """

    size: int
    max_pixels: int
    near: int | None = None
    gps: bool = False
    video: bool = False
    thumbnail: int = 0


class DecodeReply(msgspec.Struct, frozen=True):
    """What is in the memory that the child writes: views one after the other, packed RGB, or so many encoded bytes.

    ``code``: of a ``BadImage``; then there is nothing else. ``spent``: the process holds too much memory to be used
    again.
    """

    code: str = ""
    reason: str = ""
    sizes: tuple[tuple[int, int], ...] = ()
    encoded: int = 0
    media: Media | None = None
    spent: bool = False


class Ended(Exception):
    """The other side has closed the connection, or sends what is no message."""


def send(connection: int, message: msgspec.Struct) -> None:
    """Write a message to a stream socket. Raises ``OSError``."""
    body = msgspec.msgpack.encode(message)
    data = memoryview(HEAD.pack(len(body)) + body)
    while data:
        data = data[os.write(connection, data) :]


def receive(connection: int, kind: type[T]) -> T:
    """Read a message. Raises ``Ended``, ``OSError``."""
    (length,) = HEAD.unpack(_exactly(connection, HEAD.size))
    if length > MOST:
        raise Ended("a message that is too long")
    try:
        return from_msgpack(_exactly(connection, length), kind)
    except msgspec.MsgspecError as exc:
        raise Ended(str(exc)) from exc


def _exactly(connection: int, length: int) -> bytes:
    found = bytearray()
    while len(found) < length:
        part = os.read(connection, length - len(found))
        if not part:
            raise Ended("the connection was closed")
        found += part
    return bytes(found)
