"""zstd of the standard library (Python 3.14 and newer) or its backport, under one name."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression.zstd import (
        CompressionParameter,
        DecompressionParameter,
        ZstdCompressor,
        ZstdDecompressor,
        ZstdDict,
        ZstdError,
        ZstdFile,
        compress,
        train_dict,
    )
else:
    from backports.zstd import (
        CompressionParameter,
        DecompressionParameter,
        ZstdCompressor,
        ZstdDecompressor,
        ZstdDict,
        ZstdError,
        ZstdFile,
        compress,
        train_dict,
    )

MAGIC = b"\x28\xb5\x2f\xfd"
"""The first bytes of a zstd file."""

HEADER_MAX = 18
"""Bytes of the longest header of a frame, with the magic number."""

WINDOW_MAX = 1 << 31
"""Bytes of the largest window that the library can unpack."""


def window_size(begin: bytes) -> int:
    """The bytes of memory that unpacking a frame keeps, by the first bytes of the frame; 0 if they are not a header.

    The layout is section 3.1.1 of RFC 8878.
    """
    if len(begin) < 6 or not begin.startswith(MAGIC):
        return 0
    flags = begin[4]
    if not flags & 0x20:
        exponent, mantissa = begin[5] >> 3, begin[5] & 7
        base = 1 << (10 + exponent)
        return base + base // 8 * mantissa
    # the frame has one segment: its window is its content
    at = 5 + (0, 1, 2, 4)[flags & 3]
    length = (1, 2, 4, 8)[flags >> 6]
    size = int.from_bytes(begin[at : at + length], "little")
    return size + 256 if length == 2 else size


__all__ = [
    "MAGIC",
    "CompressionParameter",
    "DecompressionParameter",
    "ZstdCompressor",
    "ZstdDecompressor",
    "ZstdDict",
    "ZstdError",
    "ZstdFile",
    "compress",
    "train_dict",
    "window_size",
]
