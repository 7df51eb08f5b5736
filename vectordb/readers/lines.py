"""Reads whole lines of UTF-8 in blocks, with the number of the first. Lines end in LF or CRLF."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from vectordb.readers.rows import LONGEST, BadSource, OnProgress
from vectordb.readers.stream import opened

_BLOCK = 1 << 18
_NOT_TEXT = "it contains a zero byte, so it is not a text file; give its format if it has one"


def blocks(path: Path, on_progress: OnProgress) -> Iterator[tuple[int, str]]:
    """Pieces of a file, each some whole lines with their ends, and the number of its first line, from 1.

    A leading byte order mark is removed. Raises ``BadSource``, after the lines before it, for a line of more than 1
    MiB, bytes that are not UTF-8, and zero bytes, which do not occur in text files.
    """
    number, rest = 1, b""
    with opened(path) as stream:
        while data := stream.read(_BLOCK):
            on_progress(stream.consumed)
            end = data.rfind(b"\n") + 1
            if len(rest) + (data.find(b"\n") if end else len(data)) > LONGEST:
                raise BadSource(path, f"it is longer than {LONGEST:,} bytes: this is not a caption", f"line {number}")
            if not end:
                rest += data
                continue
            block, rest = rest + data[:end], data[end:]
            yield from _decoded(path, number, block)
            number += block.count(b"\n")
            if len(rest) > LONGEST:
                raise BadSource(path, f"it is longer than {LONGEST:,} bytes: this is not a caption", f"line {number}")
    if rest:
        yield from _decoded(path, number, rest)


def split(block: str) -> list[str]:
    """The lines of a block without their ends."""
    lines = block.split("\n")
    if not lines[-1]:
        lines.pop()
    if "\r" in block:
        lines = [line.removesuffix("\r") for line in lines]
    return lines


def _decoded(path: Path, number: int, block: bytes) -> Iterator[tuple[int, str]]:
    """Decode a block. If it is invalid, yields its valid lines first, then raises."""
    if number == 1:
        if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise BadSource(path, "it is UTF-16: convert it to UTF-8, for example with iconv", "line 1")
        block = block.removeprefix(codecs.BOM_UTF8)
    zero = block.find(b"\0")
    at, fault = (zero, _NOT_TEXT) if zero >= 0 else (len(block), "")
    try:
        text = block[:at].decode() if fault else block.decode()
    except UnicodeDecodeError as exc:
        at, fault = exc.start, f"byte 0x{block[exc.start]:02x} is not UTF-8: convert the file, for example with iconv"
    if not fault:
        yield number, text
        return
    good = block[: block.rfind(b"\n", 0, at) + 1]
    if good:
        yield number, good.decode()
    raise BadSource(path, fault, f"line {number + good.count(10)}")
