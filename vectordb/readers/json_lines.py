"""JSON lines: one object per line, with captions in one of its fields. Blank lines are skipped.

A field holds a text, a list of texts, or a list of objects with texts. A line may also be a text or a list itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import msgspec

from vectordb.readers.choice import Column, choose, column_of, texts_in
from vectordb.readers.content import CAPTIONS, EMPTY, are_captions
from vectordb.readers.lines import Block, blocks, split, unreadable
from vectordb.readers.listed import NotListed, texts_of
from vectordb.readers.options import TextOptions
from vectordb.readers.rows import BadSource, OnProgress, Rows, Skipped, Tally, packed

_SAMPLE, _LENGTH = 100, 1 << 20  # objects to choose the field by, and their characters
_NAMES_MAX = 1000  # fields that are looked at

Line = tuple[int, str]


def read(path: Path, column: str | None, on_progress: OnProgress, options: TextOptions) -> Iterator[Rows]:
    """The captions of one file.

    The first objects determine the field. An object without the field, or with null in it, gives an empty text.
    Raises ``BadSource`` for a line that is not JSON, or whose field holds neither texts nor lists of texts.
    """
    notes: list[str] = []
    return packed(_texts(path, column, blocks(path, on_progress, options.encoding, notes), notes), notes)


def _texts(path: Path, column: str | None, source: Iterator[Block], notes: list[str]) -> Iterator[str | Skipped]:
    tally = Tally(path, "Name the encoding of the file with --encoding")
    begin: list[Line | Skipped] = []
    fault: BadSource | None = None
    length = 0
    lines = _lines(source, tally)
    try:
        for one in lines:
            begin.append(one)
            length += len(one[1]) if isinstance(one, tuple) else 0
            if len(begin) == _SAMPLE or length > _LENGTH:
                break
    except BadSource as exc:
        if not begin:
            raise
        fault = exc
    read_line, written = _chosen(path, column, begin, notes)
    for one in chain(begin, _failing(fault) if fault else lines):
        if isinstance(one, Skipped):
            yield one
            continue
        number, line = one
        try:
            texts = read_line(line)
        except ValueError as exc:
            raise BadSource(path, str(exc), f"line {number}") from exc
        if written:
            yield from chain.from_iterable(texts_in(text, f"line {number}", written=True) for text in texts or ("",))
        else:
            yield from texts or ("",)
    tally.finish()


def _lines(source: Iterator[Block], tally: Tally) -> Iterator[Line | Skipped]:
    """The lines that are not blank, with their numbers, and those that cannot be decoded."""
    for block in source:
        for number, line in enumerate(split(block.text), block.number):
            if not line or line.isspace():
                continue
            bad = unreadable(line, f"line {number}") if block.faulty else None
            if bad is None:
                tally.row()
                yield number, line
            else:
                yield tally.skipped(bad)


def _failing(fault: BadSource) -> Iterator[Line]:
    raise fault
    yield  # makes this a generator: the fault is raised in its place


def _chosen(
    path: Path, column: str | None, begin: Sequence[Line | Skipped], notes: list[str]
) -> tuple[Callable[[str], list[str]], bool]:
    """A function that returns the captions of a line, and whether they are written lists."""
    rows: list[dict[str, object]] = []
    number = 1
    for one in begin:
        if isinstance(one, Skipped):
            continue
        number, line = one
        try:
            value = _value(line)
        except ValueError as exc:
            if rows:
                break
            raise BadSource(path, str(exc), f"line {number}") from exc
        if not rows and not isinstance(value, dict):
            values = _values(begin)
            if (objects := fields_of(values)) is not None:
                columns = columns_of(objects)
                at, note = choose(path, columns, column, f"line {number}", "field")
                notes += [note] if note else []
                return _list_reader([columns[i].name for i in at]), columns[at[0]].written
            return _bare(path, column, value, f"line {number}"), False
        if not isinstance(value, dict):
            break
        rows.append(value)
    columns = columns_of(rows)
    at, note = choose(path, columns, column, f"line {number}" if len(rows) == 1 else None, "field")
    if note:
        notes.append(note)
    return _reader([columns[i].name for i in at]), columns[at[0]].written


def _values(begin: Sequence[Line | Skipped]) -> list[object]:
    """The values of lines, up to the first that is not JSON."""
    values: list[object] = []
    for one in begin:
        if isinstance(one, Skipped):
            continue
        try:
            values.append(_value(one[1]))
        except ValueError:
            break
    return values


def _list_reader(names: Sequence[str]) -> Callable[[str], list[str]]:
    """The reader of lines that are lists of values of several kinds."""

    def captions(line: str) -> list[str]:
        value = _value(line)
        try:
            return [text for name in names for text in field_of(value, name)]
        except NotListed as exc:
            raise ValueError(f"this is {exc}") from exc

    return captions


def columns_of(rows: Sequence[dict[str, object]]) -> list[Column]:
    """The fields of objects, in the order of their first appearance."""
    names = islice(dict.fromkeys(chain.from_iterable(rows)), _NAMES_MAX)
    return [column_of(name, [row.get(name) for row in rows]) for name in names]


def fields_of(rows: Sequence[object]) -> list[dict[str, object]] | None:
    """Lists of values of several kinds, such as ``["a.jpg", "a cat"]``, as objects: their fields are numbers from 1.

    ``None`` if they are not lists of one length, or have captions everywhere.
    """
    lists = [row for row in rows if isinstance(row, list)]
    if not lists or len(lists) != len(rows) or len({len(row) for row in lists}) > 1:
        return None
    objects: list[dict[str, object]] = [{str(i): value for i, value in enumerate(row, 1)} for row in lists]
    columns = columns_of(objects)
    return objects if any(column.kind not in {CAPTIONS, EMPTY} for column in columns) else None


def field_of(value: object, name: str) -> list[str]:
    """The captions in a field of such a list. Raises ``NotListed``."""
    if not isinstance(value, list) or len(value) < int(name):
        raise NotListed(f"no list of {name} values")
    return texts_of(value[int(name) - 1])


def _bare(path: Path, column: str | None, value: object, position: str) -> Callable[[str], list[str]]:
    """The reader of lines that are texts or lists themselves."""
    try:
        texts = texts_of(value)
    except NotListed as exc:
        raise BadSource(path, f"this is not a JSON object but {exc}", position) from exc
    if column is not None or not are_captions(texts):
        raise BadSource(path, f"this is not a JSON object but {type(value).__name__}", position)

    def captions(line: str) -> list[str]:
        return _listed(_value(line), "line")

    return captions


def _reader(names: Sequence[str]) -> Callable[[str], list[str]]:
    """Returns a function that decodes fields of a line and skips the others."""
    # lines that msgspec rejects (unpaired surrogates, NaN, depth) are parsed again, which also gives better messages
    fields = [(f"text{i}", str | list[str] | None, None) for i in range(len(names))]
    row = msgspec.defstruct("Row", fields, rename={f"text{i}": name for i, name in enumerate(names)})
    decode = msgspec.json.Decoder(row).decode

    def captions(line: str) -> list[str]:
        try:
            values: Sequence[object] = msgspec.structs.astuple(decode(line))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            found = object_of(line)
            values = [found.get(name) for name in names]
        texts: list[str] = []
        for name, value in zip(names, values, strict=True):
            texts += [value] if isinstance(value, str) else _listed(value, name)
        return texts

    return captions


def _listed(value: object, name: str) -> list[str]:
    try:
        return texts_of(value)
    except NotListed as exc:
        raise ValueError(f"the field {name!r} holds {exc}, not a string") from exc


def _value(line: str | bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"this is not a JSON object: {exc}") from exc


def object_of(line: str | bytes) -> dict[str, object]:
    """The object on a line. Raises ``ValueError`` with a readable message."""
    row = _value(line)
    if isinstance(row, dict):
        return row
    raise ValueError(f"this is not a JSON object but {type(row).__name__}")
