"""Which encoding a text file has, and its bytes as UTF-8."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from vectordb.readers.rows import BadSource

UTF8, WINDOWS = "utf-8", "cp1252"
_MARKS = (  # of four bytes first: those of UTF-32 begin as those of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LOOKED_AT = 1 << 16
_ZEROS_MIN = 0.3  # share of the bytes of one parity that are zero in UTF-16 text of Latin letters
_FOREIGN_MAX = 0.25  # share of the letters that are not ASCII: higher in scripts that are not Latin


def encoding_of(path: Path, head: bytes, wanted: str | None = None) -> tuple[str, int]:
    """The encoding of a file that begins with these bytes, and the length of its byte order mark.

    ``wanted`` comes first. Bytes that are neither UTF-8 nor plausible as Windows-1252 are taken for UTF-8, so that
    their lines are reported. Raises ``BadSource`` if ``wanted`` is unknown.
    """
    if wanted is not None:
        try:
            name = codecs.lookup(wanted).name
            "".encode(name)  # raises for codecs that are not encodings of text
        except (LookupError, ValueError) as exc:
            raise BadSource(
                path, f"there is no encoding {wanted!r}; examples: utf-8, cp1252, utf-16, gb18030"
            ) from exc
        mark = next((mark for mark, _ in _MARKS if head.startswith(mark)), b"")
        ends = {"utf-16": "utf-16-le", "utf-32": "utf-32-le", "utf-8-sig": UTF8}
        marked = next((kind for mark, kind in _MARKS if head.startswith(mark)), None)
        if name in {"utf-16", "utf-32"} and marked:
            return marked, len(mark)
        return ends.get(name, name), len(mark) if name.startswith("utf") else 0
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, len(mark)
    head = head[:_LOOKED_AT]
    if unmarked := _without_mark(head):
        return unmarked, 0
    return (WINDOWS if _is_windows(head) else UTF8), 0


def as_utf8(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Bytes of this encoding as UTF-8. What cannot be decoded becomes a zero byte, which no text has."""
    if encoding == UTF8:
        yield from pieces
        return
    decoder = codecs.getincrementaldecoder(encoding)("wildtag-zero")
    for piece in pieces:
        yield decoder.decode(piece).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def _zero(exc: UnicodeError) -> tuple[str, int]:
    if not isinstance(exc, UnicodeDecodeError):
        raise exc
    return "\0", max(exc.end, exc.start + 1)


codecs.register_error("wildtag-zero", _zero)


def _without_mark(head: bytes) -> str | None:
    """UTF-16 without a byte order mark: every second byte of Latin text is zero."""
    half = len(head) // 2
    if half < 2:
        return None
    even, odd = head[0 : 2 * half : 2].count(0), head[1 : 2 * half : 2].count(0)
    if odd > _ZEROS_MIN * half and even < odd / 20:
        return "utf-16-le"
    if even > _ZEROS_MIN * half and odd < even / 20:
        return "utf-16-be"
    return None


def _is_windows(head: bytes) -> bool:
    """Whether bytes that are not UTF-8 are text of Western Europe in Windows-1252, of which Latin-1 is a part."""
    if head.isascii() or b"\0" in head:
        return False
    bad = good = 0
    foreign = letters = 0
    for line in head.replace(b"\r", b"\n").split(b"\n")[: -1 if len(head) == _LOOKED_AT else None]:
        if line.isascii():
            continue
        try:
            line.decode()
        except UnicodeDecodeError:
            bad += 1
        else:
            good += 1
            continue
        try:
            text = line.decode(WINDOWS)
        except UnicodeDecodeError:
            return False
        foreign += sum(not char.isascii() and char.isalpha() for char in text)
        letters += sum(map(str.isalpha, text))
        if any(char in "¤¦¬±¶¸¹¿×÷ƒ†‡ˆ‰" for char in text):
            foreign += 1  # frequent where bytes of another encoding are read as Windows-1252
    return bad > good and letters > 0 and foreign <= _FOREIGN_MAX * letters
