"""Containers of videos: recognises them by their first bytes, and says what they tell about their own length.

Each kind has one demuxer of FFmpeg, so that no other one ever sees the bytes: some of those read playlists and open
the files and addresses that these name.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tasks.images import movie_samples
from tasks.images.boxes import brands
from tasks.images.errors import DamagedImage, TruncatedImage

MP4, QUICKTIME, AVI, FLASH = "MP4 video", "QuickTime video", "AVI video", "Flash video"
MATROSKA, WEBM, EITHER = "Matroska video", "WebM video", "Matroska or WebM video"
PROGRAM, TRANSPORT, WINDOWS = "MPEG video", "MPEG transport stream", "Windows Media video"
# kind → the demuxer of FFmpeg, and the media type
VIDEOS = {
    MP4: ("mov", "video/mp4"), QUICKTIME: ("mov", "video/quicktime"), AVI: ("avi", "video/x-msvideo"),
    MATROSKA: ("matroska", "video/x-matroska"), WEBM: ("matroska", "video/webm"),
    EITHER: ("matroska", "video/x-matroska"), PROGRAM: ("mpeg", "video/mpeg"), TRANSPORT: ("mpegts", "video/mp2t"),
    FLASH: ("flv", "video/x-flv"), WINDOWS: ("asf", "video/x-ms-asf"),
}  # fmt: skip
AUDIO = frozenset({b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "})
"""Major brands of files that hold sound only."""
_BOXES = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
_LATER = frozenset({b"moof", b"mfra", b"meta", b"udta", b"uuid", b"sidx", b"styp"})
_ASF = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"
_ASF_FILE = b"\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65"
_STARTS = ((b"FLV\x01", FLASH), (b"\x00\x00\x01\xba", PROGRAM), (_ASF, WINDOWS))
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_MOST = 300_000  # parts of a file that are walked through


def video_kind(head: bytes) -> str | None:
    """The kind of video with this beginning, better 4096 bytes; ``None`` for anything else.

    Images in ISO base media files (AVIF, HEIC, CR3) are not told apart here: they are recognised before.
    """
    found = brands(head)
    if found and found[0] not in AUDIO:
        return QUICKTIME if found[0] == b"qt  " else MP4
    if head[4:8] in _BOXES and head[0] < 32:  # the length, of less than 512 MB: "the free" begins a text
        return QUICKTIME
    if head.startswith(_EBML):
        return WEBM if b"webm" in head[:64] else MATROSKA if b"matroska" in head[:64] else EITHER
    if head[:4] + head[8:12] == b"RIFFAVI ":
        return AVI
    return next((kind for start, kind in _STARTS if head.startswith(start)), TRANSPORT if _packets(head) else None)


def with_article(kind: str) -> str:
    """The kind for a sentence: "an MP4 video"."""
    return f"{'an' if kind[:2] in {'AV', 'MP'} else 'a'} {kind}"


def _packets(head: bytes) -> bool:
    """Whether each packet of a transport stream begins as it has to; with four bytes of time in Blu-ray's variant."""
    starts = (head[0::188], head[4::192])
    return any(len(each) >= 3 and set(each[:8]) == {0x47} for each in starts)


def check(kind: str, data: bytes) -> None:
    """Raise ``TruncatedImage`` if a video ends before its container says. MPEG containers say nothing."""
    missing = ""
    if kind in {MP4, QUICKTIME}:
        missing = _movie(kind, data)
    elif kind == AVI:
        missing = _behind(8 + struct.unpack_from("<I", data, 4)[0] // 2 * 2, data)
    elif kind in {MATROSKA, WEBM, EITHER}:
        missing = _matroska(data)
    elif kind == FLASH:
        missing = _flash(data)
    elif kind == WINDOWS:
        missing = _windows(data)
    if missing:
        raise TruncatedImage(f"the {kind} is truncated: {missing}")


def _behind(size: int, data: bytes) -> str:
    return f"{size - len(data):,} of {size:,} bytes are missing" if size > len(data) else ""


def _movie(kind: str, data: bytes) -> str:
    """The boxes of the file have lengths; without ``moov`` nobody knows where a frame begins."""
    at, found = 0, False
    parts: list[tuple[int, int]] = []
    for name, end in _top_boxes(data):
        if found and end > len(data) and name not in _BOXES | _LATER:  # text behind the last box
            break
        found = found or name == b"moov"
        if name != b"mdat":
            parts.append((at, end))
        if end > len(data):
            return f"its box {name.decode('ascii')!r} ends {end - len(data):,} bytes behind the file"
        at = end
    movie_samples.check(kind, data, [*parts, (at, len(data))])
    if found:
        return ""
    if at + 8 <= len(data) and data[at:].strip(b"\0"):
        raise DamagedImage(f"the {kind} cannot be read: byte {at:,} begins no box")
    return "its table of contents (moov) is missing"


def _top_boxes(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The name and end of each box of the file, up to the first bytes that are none."""
    at = 0
    for _ in range(_MOST):
        if at + 8 > len(data):
            return
        size, name = struct.unpack_from(">I4s", data, at)
        if size == 1 and at + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, at + 8)
        elif size == 0:
            size = len(data) - at
        if size < 8 or not all(32 <= letter < 127 for letter in name):
            return
        at += size
        yield name, at


def _matroska(data: bytes) -> str:
    """The segment has a length, unless the file was written as a stream."""
    header = _vint(data, 4)
    if header is None:
        return "it ends within its header"
    at = header[1] + (header[0] or 0)
    if at + 4 > len(data):
        return "it ends within its header"
    segment = _vint(data, at + 4)
    if data[at : at + 4] != _SEGMENT or segment is None or segment[0] is None:
        return ""
    return _behind(segment[1] + segment[0], data)


def _vint(data: bytes, at: int) -> tuple[int | None, int] | None:
    """A length of EBML, ``None`` if it says that it is unknown, and the offset behind it."""
    if at >= len(data) or not data[at]:
        return None
    width = 9 - data[at].bit_length()
    if at + width > len(data):
        return None
    value = int.from_bytes(data[at : at + width], "big") & ((1 << 7 * width) - 1)
    return (None if value == (1 << 7 * width) - 1 else value), at + width


def _flash(data: bytes) -> str:
    """Each tag has a length."""
    at = struct.unpack_from(">I", data, 5)[0] + 4 if len(data) >= 9 else 9
    for _ in range(_MOST):
        if at == len(data):
            return ""
        if at + 11 > len(data):
            return "it ends within a part"
        at += 11 + int.from_bytes(data[at + 1 : at + 4], "big")
        if at > len(data):
            return f"its last part ends {at - len(data):,} bytes behind the file"
        at += 4
    return ""


def _windows(data: bytes) -> str:
    """The header tells the size of the file, unless it was written as a stream."""
    at = data.find(_ASF_FILE, 0, 65536)
    if at < 0 or at + 92 > len(data):
        return "it ends within its header"
    (size,) = struct.unpack_from("<Q", data, at + 40)
    (flags,) = struct.unpack_from("<I", data, at + 88)
    return "" if flags & 1 else _behind(size, data)
