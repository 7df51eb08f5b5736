"""Reads the boxes of ISO base media files (HEIF, AVIF, JPEG XL, CR3)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_MOST = 10_000


def boxes(data: bytes, begin: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Type, and the range of the body, of each box between two offsets. A box that ends later is cut there."""
    end = len(data) if end is None else min(end, len(data))
    at = begin
    for _ in range(_MOST):
        if at + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1 and at + 16 <= end:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        elif size == 0:
            size = end - at
        if size < head:
            return
        yield kind, at + head, min(at + size, end)
        at += size


def brands(head: bytes) -> tuple[bytes, ...]:
    """The brands of a file with an ``ftyp`` box, the major one first; empty without."""
    if head[4:8] != b"ftyp" or len(head) < 12:
        return ()
    size = min(struct.unpack_from(">I", head)[0], len(head))
    return (head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4)))
