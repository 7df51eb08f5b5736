"""Finds PNG files whose pixels end too early, although their compressed data end as they should.

The decoder leaves missing rows black or clear, without an error. The unpacked bytes are counted against the size in
the header, which takes a third of the time of decoding: so a picture is counted only if its last row is empty, or if
it is interlaced.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from tasks.images.errors import TruncatedImage

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a pixel, by colour type
# first column and row, and steps, of each pass (PNG, third edition, 8.1)
_PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
)  # fmt: skip
_STEP = 2**20  # bytes that are unpacked at a time

Chunks = Iterable[tuple[bytes, memoryview]]
"""Name and body of each chunk, in their order."""


def seems_short(image: Any, *, interlaced: bool) -> bool:
    """Whether rows of a decoded image may be missing: the last one is empty, or the last pass is elsewhere."""
    return interlaced or not any(image.crop((0, image.height - 1, *image.size)).tobytes())


def check_rows(chunks: Chunks, number: int = 0) -> None:
    """Raise ``TruncatedImage`` if the data of this frame (from 0) unpack to fewer bytes than its size takes."""
    size, bits, kind, interlaced = (0, 0), 8, 2, False
    needed, parts = 0, []
    for frame, name, body in _numbered(chunks):
        if name == b"IHDR" and len(body) >= 13:
            size, bits, kind, interlaced = struct.unpack_from(">II", body), body[8], body[9], body[12] == 1
        elif name == b"fcTL" and frame == number and len(body) >= 12:
            size = struct.unpack_from(">II", body, 4)
        elif frame == number and name in {b"IDAT", b"fdAT"}:
            parts.append(body[4:] if name == b"fdAT" else body)
    if kind in _SAMPLES:
        needed = _bytes(*size, bits * _SAMPLES[kind], interlaced=interlaced)
    if not _unpacks_to(parts, needed):
        raise TruncatedImage("the PNG image is truncated: its data end before its last row")


def _numbered(chunks: Chunks) -> Iterator[tuple[int, bytes, memoryview]]:
    """The chunks with the number of the frame that each belongs to: of a still picture before an animation 0, too."""
    frame, pixels = 0, False
    for name, body in chunks:
        if name == b"fcTL" and pixels:
            frame += 1
        pixels = pixels or name == b"IDAT"
        yield frame, name, body


def _bytes(width: int, height: int, bits: int, *, interlaced: bool) -> int:
    """The bytes of so many pixels with a filter byte for each row."""
    sizes = [(width, height)]
    if interlaced:
        sizes = [(-(-(width - left) // across), -(-(height - top) // down)) for left, top, across, down in _PASSES]
    return sum(rows * (1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns > 0 and rows > 0)


def _unpacks_to(parts: list[memoryview], needed: int) -> bool:
    unpacker = zlib.decompressobj()
    count = 0
    try:
        for part in parts:
            left: bytes | memoryview = part
            while len(left) and not unpacker.eof:
                count += len(unpacker.decompress(left, _STEP))
                if count >= needed:
                    return True
                left = unpacker.unconsumed_tail
        count += len(unpacker.flush())
    except zlib.error:  # the decoder has read these data, or has said so
        return True
    return count >= needed
