"""JSON files with one value: COCO's ``{"annotations": [{"caption": …}]}``, or an array of objects.

Reads the file as a stream, with only one object in memory at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ijson  # type: ignore[import-untyped]  # has no annotations

from vectordb.readers.json_lines import field, text_of
from vectordb.readers.rows import LONGEST, BadSource, OnProgress, Rows, packed
from vectordb.readers.stream import Stream, opened

_BOM = b"\xef\xbb\xbf"
# small, so that little is parsed but not returned if the file is damaged
_BLOCK = 1 << 14
_STARTS, _ENDS = frozenset({"start_map", "start_array"}), frozenset({"end_map", "end_array"})
# a quote that starts or ends a string, not one behind a backslash
_QUOTE = re.compile(rb'(?<!\\)"')


def read(path: Path, column: str | None, on_progress: OnProgress) -> Iterator[Rows]:
    """The captions of one file, in order. ``column`` is the field, by default ``caption``."""
    return packed(_texts(path, column, on_progress))


def _texts(path: Path, column: str | None, on_progress: OnProgress) -> Iterator[str]:
    with opened(path) as stream:
        source = _Guarded(path, stream, on_progress)
        within = source.begins_with()
        if within not in {b"[", b"{"}:
            raise BadSource(
                path, "this is not a JSON object or array; for one object per line use the format jsonl", "byte 0"
            )
        events = ijson.basic_parse(source, use_float=True, buf_size=_BLOCK)
        rows = _items(path, events, 1 if within == b"[" else 2)
        count = 0
        try:
            for row in rows:
                count += 1
                if not isinstance(row, dict):
                    raise BadSource(path, f"it is not an object but {type(row).__name__}", f"item {count}")
                if count == 1:
                    column = field(path, row, column, "item 1")
                yield text_of(row, column or "caption")
        except ijson.JSONError as exc:
            fault = f"this is not valid JSON, or it is truncated: {_words(exc)}"
            raise BadSource(path, fault, f"after item {count}") from exc
        except ValueError as exc:
            raise BadSource(path, str(exc), f"item {count}") from exc
        if not count and within == b"{":
            raise BadSource(
                path, 'there are no entries in a list "annotations"; for one object per line use the format jsonl'
            )


def _items(path: Path, events: Iterator[tuple[str, Any]], level: int) -> Iterator[Any]:
    """The items of the list that holds the rows, ``level`` containers deep; on level 2 that of "annotations".

    What is in containers within an item is skipped: such a container is empty here. Raises ``BadSource`` for an item
    whose own keys and values have more than 1 MiB.
    """
    row: Any = None
    key, count, length = "", 0, 0
    for depth, event, value in _inside(events, level):
        found = {} if event == "start_map" else [] if event == "start_array" else value
        if depth == 0 and event in _ENDS:
            yield row
        elif depth == 0:
            count, length, row = count + 1, 0, found
            if event not in _STARTS:
                yield row
        elif depth == 1 and event not in _ENDS:
            if event == "map_key":
                key = value
            elif isinstance(row, dict):
                row[key] = found
            length += 1 + (len(found) if isinstance(found, str) else 0)
            if length > LONGEST:
                raise BadSource(
                    path, f"it is longer than {LONGEST:,} characters: this is not a caption", f"item {count}"
                )


def _inside(events: Iterator[tuple[str, Any]], level: int) -> Iterator[tuple[int, str, Any]]:
    """The events in the list that holds the rows, each with its depth in its item."""
    depth, top, listed = 0, "", False
    for event, value in events:
        depth -= event in _ENDS
        if depth >= level:
            if listed:
                yield depth - level, event, value
        elif event == "map_key":
            top = value
        elif event not in _ENDS:
            listed = event == "start_array" and (level == 1 or top == "annotations")
        depth += event in _STARTS


def _words(exc: Exception) -> str:
    """The first line of the parser's message; the others draw the position."""
    return " ".join(str(exc.args[0] if exc.args else exc).split("\n")[0].split())


class _Guarded:
    """The input of ijson. Rejects strings that would fill the memory."""

    def __init__(self, path: Path, stream: Stream, on_progress: OnProgress) -> None:
        self._path = path
        self._stream = stream
        self._on_progress = on_progress
        self._first = b""
        self._since_quote = 0

    def begins_with(self) -> bytes:
        """The first byte that is not white space; empty if there is none within some thousand bytes."""
        while not self._first.removeprefix(_BOM).lstrip() and len(self._first) < _BLOCK:
            data = self._stream.read(_BLOCK)
            if not data:
                break
            self._first += data
        self._first = self._first.removeprefix(_BOM)
        return self._first.lstrip()[:1]

    def read(self, size: int) -> bytes:
        """The next bytes. Raises ``BadSource`` if 1 MiB of them contain no quote."""
        if not size:  # ijson checks the type of the result this way
            return b""
        data, self._first = self._first or self._stream.read(size), b""
        self._on_progress(self._stream.consumed)
        quotes = list(_QUOTE.finditer(data))
        self._since_quote = len(data) - quotes[-1].end() if quotes else self._since_quote + len(data)
        if self._since_quote > LONGEST:
            raise BadSource(self._path, f"a string is longer than {LONGEST:,} bytes: this is not a caption")
        return data
