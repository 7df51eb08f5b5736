"""Bounds what the tables of an MP4 or QuickTime file claim, before a demuxer believes them.

A few bytes may claim two hundred million samples, for each of which FFmpeg keeps an entry. The tables are searched
for by name in all boxes but ``mdat``, because FFmpeg takes them wherever they are.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable

from tasks.images.errors import DamagedImage, UnsupportedImage

_MOST = 2_000_000  # samples of all tracks and fragments: nine hours of video and sound
_TABLE = re.compile(rb"stsz|stz2|trun")
# uncompressed sound, whose samples FFmpeg keeps by chunks
_PLAIN_SOUND = frozenset(b"sowt twos lpcm ipcm fpcm in24 in32 fl32 fl64 ulaw alaw".split())


def check(kind: str, data: bytes, parts: Iterable[tuple[int, int]]) -> None:
    """Raise a ``BadImage`` if the boxes at these ranges of the file claim too much."""
    total = 0
    for begin, end in parts:
        if data.find(b"cmov", begin, end) >= 0:
            raise UnsupportedImage(f"{kind} with a compressed table of contents is not read")
        for found in _TABLE.finditer(data, begin, end):
            total += _claimed(data, found[0], found.end(), begin, end)
    if total > _MOST:
        raise DamagedImage(f"the {kind} claims {total:,} samples; the limit is {_MOST:,}")


def _claimed(data: bytes, name: bytes, at: int, begin: int, end: int) -> int:
    """The samples of a table whose body begins here; none if they are those of uncompressed sound."""
    if at + 12 > end:
        return 0
    size, count = (int(number) for number in struct.unpack_from(">II", data, at + 4))
    if name == b"trun":
        return size
    if name == b"stsz" and size and size * count <= len(data) and _is_plain_sound(data, at, begin, end):
        return 0
    return count


def _is_plain_sound(data: bytes, at: int, begin: int, end: int) -> bool:
    """Whether the track around a table has nothing but sound of a known form, with the duration 1 for all samples."""
    first = max(begin, data.rfind(b"trak", begin, at))
    last = data.find(b"trak", at, end)
    track = data[first : end if last < 0 else last]
    codecs = {track[found.end() + 12 : found.end() + 16] for found in re.finditer(rb"stsd", track)}
    tables = [track[found.end() + 4 : found.end() + 16] for found in re.finditer(rb"stts", track)]
    single = bool(tables) and all(each[:4] + each[8:] == b"\0\0\0\1" * 2 for each in tables)
    return single and bool(codecs) and codecs <= _PLAIN_SOUND
