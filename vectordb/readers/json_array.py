"""JSON files with one value.

The captions are in a list of objects, of texts, or of lists of texts: the value itself (``[{"caption": …}]``), or
one that a key of it holds (COCO's ``annotations``, ``images`` of Karpathy's splits with their ``sentences``). Or the
value maps file names to captions (``{"1.jpg": ["a cat", "a kitten"]}``). Reads the file as a stream, with only some
objects in memory at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import ijson  # type: ignore[import-untyped]  # has no annotations

from vectordb.readers.choice import LISTS, ChooseColumn, Column, choose, described, texts_in
from vectordb.readers.content import CAPTIONS, EMPTY, are_captions, kind_of
from vectordb.readers.json_lines import columns_of, field_of, fields_of
from vectordb.readers.json_values import Depth, built, items
from vectordb.readers.listed import NotListed, texts_of
from vectordb.readers.names import CAPTION_NAMES, numbered_captions
from vectordb.readers.rows import LONGEST, BadSource, OnProgress, Rows, Skipped, packed
from vectordb.readers.stream import Stream, opened

_BOM = b"\xef\xbb\xbf"
# small, so that little is parsed but not returned if the file is damaged
_BLOCK = 1 << 14
_SAMPLE = 50  # items to choose the field by
# keys of lists whose only text is taken for the caption; lists under other keys need one of the usual names
_LISTS = {
    "annotations", "data", "rows", "items", "images", "samples", "examples", "results", "dataset", "records",
    "entries", "train", "val", "validation", "test", *CAPTION_NAMES,
}  # fmt: skip
# keys of lists of pictures, whose fields describe files: captions are in another list, or have a usual name
_ABOUT_FILES = {"images", "videos", "files", "categories", "licenses"}
# a quote that starts or ends a string, not one behind a backslash
_QUOTE = re.compile(rb'(?<!\\)"')


def read(path: Path, column: str | None, on_progress: OnProgress) -> Iterator[Rows]:
    """The captions of one file, in order. ``column``: the field, detected by default."""
    notes: list[str] = []
    return packed(_File(path, column, notes).texts(on_progress), notes)


class _File:
    """One file while it is read."""

    def __init__(self, path: Path, column: str | None, notes: list[str]) -> None:
        self._path = path
        self._column = column
        self._notes = notes
        self._count = 0
        self._where = "item"
        self._doubts: list[ChooseColumn] = []
        self._by_place = False  # items are lists of values of several kinds

    def texts(self, on_progress: OnProgress) -> Iterator[str | Skipped]:
        with opened(self._path) as stream:
            source = _Guarded(self._path, stream, on_progress)
            within = source.begins_with()
            if within not in {b"[", b"{"}:
                raise BadSource(
                    self._path, "this is not a JSON object or array; for one object per line use the format jsonl",
                    "byte 0",
                )  # fmt: skip
            events = iter(ijson.basic_parse(source, use_float=True, buf_size=_BLOCK))
            try:
                next(events)
                yield from self._list(events, None) if within == b"[" else self._object(events)
                for _ in events:
                    pass  # reads to the end, where damage shows
            except ijson.JSONError as exc:
                fault = f"this is not valid JSON, or it is truncated: {_words(exc)}"
                raise BadSource(self._path, fault, f"after {self._where} {self._count}") from exc
            except (NotListed, Depth) as exc:
                position = f"{'after ' * isinstance(exc, Depth)}{self._where} {self._count}"
                raise BadSource(self._path, f"it holds {exc}", position) from exc

    def _object(self, events: Iterator[tuple[str, Any]]) -> Iterator[str | Skipped]:
        """The captions of an object: of the first of its lists that has some, or of all its values."""
        found = False
        others: list[tuple[str, Any]] = []
        for event, key in events:
            if event != "map_key":
                break
            kind, value = next(events)
            if found:
                for _ in items(events) if kind in {"start_array", "start_map"} else ():
                    pass
            elif kind == "start_array" and not self._is_map(others, key):
                texts = self._list(events, key)
                first = next(texts, None)
                if first is not None:
                    found = True
                    yield first
                yield from texts
            else:
                self._count, self._where = len(others) + 1, "key"
                row = built(events, kind, value)
                others.append((key, row))
                if len(others) >= _SAMPLE:
                    found = True
                    yield from self._map(others, events)
                    return
        if not found:
            yield from self._map(others, iter(()))

    def _is_map(self, others: Sequence[tuple[str, Any]], key: str) -> bool:
        """Whether the keys are names of images, and not words for what the values hold."""
        return key.lower() not in _LISTS and kind_of([*(name for name, _ in others), key]) not in {CAPTIONS, EMPTY}

    def _map(self, begin: Sequence[tuple[str, Any]], events: Iterator[tuple[str, Any]]) -> Iterator[str | Skipped]:
        """The captions of an object whose keys are images."""
        if self._doubts:
            raise self._doubts[0]
        keys = [key for key, _ in begin]
        if not keys or kind_of(keys) in {CAPTIONS, EMPTY, "truth values"}:  # such as "error"
            raise BadSource(
                self._path,
                'no list of captions was found in this object (such as COCO\'s "annotations"); for one object per'
                f" line use the format jsonl. Its keys are: {', '.join(keys[:20]) or 'none'}",
            )
        for number, (_, value) in enumerate(begin, 1):
            self._count = number
            yield from self._of(value)
        for event, _ in events:
            if event != "map_key":
                break
            self._count += 1
            kind, value = next(events)
            yield from self._of(built(events, kind, value))

    def _of(self, value: Any) -> Sequence[str]:
        if isinstance(value, dict) and self._column is not None:
            value = value.get(self._column)
        return texts_of(value) or [""]

    def _list(self, events: Iterator[tuple[str, Any]], key: str | None) -> Iterator[str | Skipped]:
        """The captions of a list; none if it is not the only value, and has none."""
        self._count, self._where = 0, "item"
        begin: list[Any] = []
        fault: Exception | None = None
        rows = items(events, self._counted)
        try:
            for row in rows:
                begin.append(row)
                if len(begin) == _SAMPLE:
                    break
        except (ijson.JSONError, Depth) as exc:
            fault = exc
            if not begin:
                raise
        after = self._count
        self._count = 0
        names = self._names(begin, key)
        self._count = after
        if names is None:
            if fault is not None:
                raise fault
            for _ in rows:
                pass
            return
        for number, row in enumerate(chain(begin, _failing(fault) if fault else rows), 1):
            self._count = number
            yield from self._texts(row, *names)

    def _counted(self) -> None:
        self._count += 1

    def _names(self, begin: Sequence[Any], key: str | None) -> tuple[list[str], bool] | None:
        """The fields of the captions, none if the items are texts; ``None`` if this list has no captions."""
        if not begin:
            return ([], False) if key is None else None
        objects = [row for row in begin if isinstance(row, dict)]
        if (rows := fields_of(begin)) is not None and (key is None or key.lower() in _LISTS):
            self._by_place = True
            return self._chosen(columns_of(rows), key)
        if not isinstance(begin[0], dict):
            self._count = 1
            texts = [text for one in begin for text in texts_of(one)]
            if are_captions(texts) and (key is None or key.lower() in _LISTS):
                return [], False
            if key is None:
                raise NotListed(f"{kind_of(texts)}, not only captions")
            return None
        columns = columns_of(objects)
        if key is not None and key.lower() not in _LISTS and self._column is None:
            known = {column.name.lower() for column in columns if column.usable} & set(CAPTION_NAMES)
            if not known - {"title", "description"}:
                return None
        return self._chosen(columns, key)

    def _chosen(self, columns: Sequence[Column], key: str | None) -> tuple[list[str], bool] | None:
        """The fields of the captions; ``None`` if this list, which is not the only value, has none or is in doubt."""
        try:
            at, note = choose(self._path, columns, self._column, "item 1", "field")
        except ChooseColumn as exc:
            if key is None:
                raise
            self._doubts.append(exc)
            return None
        if key is not None and key.lower() in _ABOUT_FILES and self._column is None and not self._by_place:
            there = [columns[i] for i in at]
            usual = numbered_captions([column.name for column in there])
            if not usual and not any(
                column.kind == LISTS or column.name.lower() in CAPTION_NAMES for column in there
            ):
                why = "no field has the name of captions; choose one of"
                self._doubts.append(ChooseColumn(self._path, described(columns), why, "item 1"))
                return None
        if note:
            self._notes.append(note)
        return [columns[i].name for i in at], columns[at[0]].written

    def _listed(self, row: Any, names: Sequence[str]) -> list[str]:
        if self._by_place and names:
            return [text for name in names for text in field_of(row, name)]
        texts: list[str] = []
        for value in [row.get(name) for name in names] if names else [row]:
            texts += texts_of(value)
        return texts

    def _texts(self, row: Any, names: Sequence[str], written: bool) -> Iterator[str | Skipped]:  # noqa: FBT001 -- unpacked
        if names and not isinstance(row, dict) and not self._by_place:
            raise NotListed(f"{type(row).__name__}, not an object")
        texts = self._listed(row, names)
        if written:
            return chain.from_iterable(texts_in(text, f"item {self._count}", written=True) for text in texts or ("",))
        return iter(texts or [""])


def _failing(fault: Exception) -> Iterator[Any]:
    raise fault
    yield  # makes this a generator: the fault is raised in its place


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
