"""JSON files that are one value: COCO's ``{"annotations": [{"caption": …}]}``, or a plain array of objects.

Read as a stream: only one object is in memory at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import ijson  # type: ignore[import-untyped]  # has no annotations

from vectordb.readers.json_lines import field, text_of
from vectordb.readers.rows import LONGEST, BadSource, Rows, Tell, packed
from vectordb.readers.stream import Stream, opened

_BOM = b"\xef\xbb\xbf"
# small, so that little is parsed but not given when the file turns out to be damaged
_BLOCK = 1 << 14
# a quote that may begin or end a string; one behind a backslash does not
_QUOTE = re.compile(rb'(?<!\\)"')


def read(path: Path, column: str | None, tell: Tell) -> Iterator[Rows]:
    """The captions of one file, in the order of its objects. ``column`` is the field, ``caption`` by default."""
    return packed(_texts(path, column, tell))


def _texts(path: Path, column: str | None, tell: Tell) -> Iterator[str]:
    with opened(path) as stream:
        source = _Guarded(path, stream, tell)
        within = source.begins_with()
        if within not in {b"[", b"{"}:
            raise BadSource(path, "this is no JSON object or array; one object a line is the format jsonl", "byte 0")
        rows = ijson.items(source, "item" if within == b"[" else "annotations.item", use_float=True, buf_size=_BLOCK)
        count = 0
        try:
            for row in rows:
                count += 1
                if not isinstance(row, dict):
                    raise BadSource(path, f"it is no object but {type(row).__name__}", f"item {count}")
                if count == 1:
                    column = field(path, row, column, "item 1")
                yield text_of(row, column or "caption")
        except ijson.JSONError as exc:
            fault = f"this is no JSON, or it is cut off: {_words(exc)}"
            raise BadSource(path, fault, f"after item {count}") from exc
        except ValueError as exc:
            raise BadSource(path, str(exc), f"item {count}") from exc
        if not count and within == b"{":
            raise BadSource(path, 'there is nothing in a list "annotations"; one object a line is the format jsonl')


def _words(exc: Exception) -> str:
    """The first line of what the parser says; the rest is a drawing of the place."""
    return " ".join(str(exc.args[0] if exc.args else exc).split("\n")[0].split())


class _Guarded:
    """What ijson reads from. Refuses strings that would fill the memory."""

    def __init__(self, path: Path, stream: Stream, tell: Tell) -> None:
        self._path = path
        self._stream = stream
        self._tell = tell
        self._first = b""
        self._since_quote = 0

    def begins_with(self) -> bytes:
        """The first byte that is not white space; empty if there is none within some thousands."""
        while not self._first.removeprefix(_BOM).lstrip() and len(self._first) < _BLOCK:
            data = self._stream.read(_BLOCK)
            if not data:
                break
            self._first += data
        self._first = self._first.removeprefix(_BOM)
        return self._first.lstrip()[:1]

    def read(self, size: int) -> bytes:
        """The next bytes. Raises ``BadSource`` when there was no quote among 1 MiB of them."""
        if not size:  # ijson asks so whether it gets bytes
            return b""
        data, self._first = self._first or self._stream.read(size), b""
        self._tell(self._stream.consumed)
        quotes = list(_QUOTE.finditer(data))
        self._since_quote = len(data) - quotes[-1].end() if quotes else self._since_quote + len(data)
        if self._since_quote > LONGEST:
            raise BadSource(self._path, f"a string is longer than {LONGEST:,} bytes: this is no caption")
        return data
