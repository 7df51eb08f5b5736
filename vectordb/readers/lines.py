"""Reads whole lines of text in blocks, with the number of the first.

Lines end in LF or CRLF, or in CR if the file has no LF. The encoding is UTF-8, what a byte order mark says, or what
``encodings`` detects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from vectordb.readers.encodings import UTF8, WINDOWS, as_utf8, encoding_of
from vectordb.readers.rows import LONGEST, UNDECODABLE, ZERO, BadSource, OnProgress, Skipped, name_of, skip
from vectordb.readers.stream import Stream, opened

_BLOCK = 1 << 18
_HEAD = 1 << 16
_UNDECODED = re.compile("[\udc80-\udcff]")


class Block(NamedTuple):
    """Some whole lines with their ends, and the number of the first, from 1.

    ``faulty``: a line has zero bytes, or bytes that cannot be decoded, which are surrogates here; see ``unreadable``.
    """

    number: int
    text: str
    faulty: bool = False


def blocks(
    path: Path, on_progress: OnProgress, encoding: str | None = None, notes: list[str] | None = None
) -> Iterator[Block]:
    """Pieces of a file. A leading byte order mark is removed. ``notes`` receives what was detected.

    Raises ``BadSource``, after the lines before it, for a line of more than 1 MiB.
    """
    number, rest = 1, b""
    with opened(path) as stream:
        head, fault = _head(stream)
        found, mark = encoding_of(path, head, encoding)
        if notes is not None and encoding is None and found != UTF8:
            shown = f"{found.upper()} (Windows-1252, Latin-1)" if found == WINDOWS else found.upper()
            notes.append(f"{name_of(path)}: the text is read as {shown}; --encoding names another one")
        pieces = as_utf8(_pieces(stream, head[mark:], fault, on_progress), found)
        first = next(pieces, b"")
        old = b"\r" in first[:-1] and b"\n" not in first
        for piece in chain([first], pieces):
            data = piece.replace(b"\r", b"\n") if old else piece
            end = data.rfind(b"\n") + 1
            if len(rest) + (data.find(b"\n") if end else len(data)) > LONGEST:
                raise BadSource(path, f"it is longer than {LONGEST:,} bytes: this is not a caption", f"line {number}")
            if not end:
                rest += data
                continue
            block, rest = rest + data[:end], data[end:]
            yield _decoded(number, block)
            number += block.count(b"\n")
            if len(rest) > LONGEST:
                raise BadSource(path, f"it is longer than {LONGEST:,} bytes: this is not a caption", f"line {number}")
    if rest:
        yield _decoded(number, rest)


def split(block: str) -> list[str]:
    """The lines of a block without their ends."""
    lines = block.split("\n")
    if not lines[-1]:
        lines.pop()
    if "\r" in block:
        lines = [line.removesuffix("\r") for line in lines]
    return lines


def unreadable(text: str, position: str) -> Skipped | None:
    """Why a line of a faulty block is left out; ``None`` if it can be read."""
    if "\0" in text:
        return skip(ZERO, "it contains a zero byte, or bytes that cannot be decoded", position)
    if found := _UNDECODED.search(text):
        fault = f"byte 0x{ord(found[0]) - 0xDC00:02x} is not UTF-8"
        return skip(UNDECODABLE, fault, position)
    return None


def _head(stream: Stream) -> tuple[bytes, BadSource | None]:
    """The first bytes, as far as they can be read, and the fault that ends them."""
    head = b""
    try:
        while len(head) < _HEAD and (data := stream.read(_BLOCK)):
            head += data
    except BadSource as exc:
        return head, exc
    return head, None


def _pieces(stream: Stream, head: bytes, fault: BadSource | None, on_progress: OnProgress) -> Iterator[bytes]:
    on_progress(stream.consumed)
    yield head
    if fault is not None:
        raise fault
    while data := stream.read(_BLOCK):
        on_progress(stream.consumed)
        yield data


def _decoded(number: int, block: bytes) -> Block:
    try:
        text = block.decode()
    except UnicodeDecodeError:
        return Block(number, block.decode("utf-8", "surrogateescape"), faulty=True)
    return Block(number, text, b"\0" in block)
