"""Compresses the bodies of records with a trained dictionary, which has what all records repeat.

A dictionary is a file of this package, named by its number, and the first byte of a compressed body is that number.
Bodies are compressed with the newest dictionary, and read with the one that they name: a dictionary that was released
stays. ``python -m ops.record_dictionary`` trains one.
"""

from __future__ import annotations

import threading
from functools import cache
from importlib import resources

from vectordb.zstd import MAGIC, CompressionParameter, ZstdCompressor, ZstdDecompressor, ZstdDict, ZstdError

CURRENT = 1
PLAIN = 0  # in place of a number: what follows is not compressed
LEVEL = 9  # 35 µs for 2 kB, and 5 % smaller than level 3; level 19 saves 4 % more and takes 300 µs
LONGEST = 64 << 20  # bytes of a body: a damaged one must not fill the memory
_OPTIONS: dict[int, int] = {
    CompressionParameter.compression_level: LEVEL,
    CompressionParameter.dict_id_flag: 0,  # the first byte says it
}


class Undecodable(ValueError):
    """It is not compressed with a dictionary of this version of wildtag."""


def compressed(body: bytes) -> bytes:
    """The number of the dictionary, then the compressed body without the four bytes that begin each zstd frame."""
    with _lock:
        frame = _compressor().compress(body, mode=ZstdCompressor.FLUSH_FRAME)
    return bytes((CURRENT,)) + frame[len(MAGIC) :]


def decompressed(data: bytes) -> bytes:
    """The inverse of ``compressed``. Raises ``Undecodable``."""
    if not data:
        raise Undecodable("it is empty")
    if data[0] == PLAIN:
        return data[1:]
    try:
        decompressor = ZstdDecompressor(zstd_dict=dictionary(data[0]))
        body = decompressor.decompress(MAGIC + data[1:], LONGEST)
    except (ZstdError, EOFError) as exc:
        raise Undecodable(str(exc)) from exc
    if not decompressor.eof or decompressor.unused_data:
        raise Undecodable("it is cut off, too long, or something follows")
    return body


@cache
def dictionary(number: int) -> ZstdDict:
    """A dictionary by its number. Raises ``Undecodable`` if there is none."""
    file = resources.files(__package__ or __name__).joinpath("record_dictionaries", f"{number}.zdict")
    try:
        return ZstdDict(file.read_bytes())
    except OSError as exc:
        raise Undecodable(f"this version has no dictionary {number}") from exc


_lock = threading.Lock()


@cache
def _compressor() -> ZstdCompressor:
    return ZstdCompressor(options=_OPTIONS, zstd_dict=dictionary(CURRENT))
