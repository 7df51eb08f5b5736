"""JSON lines: one object per line, with the caption in one of its fields. Blank lines are skipped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from vectordb.readers.lines import blocks, split
from vectordb.readers.rows import BadSource, OnProgress, Rows, caption_column, looks_like_address, packed


def read(path: Path, column: str | None, on_progress: OnProgress) -> Iterator[Rows]:
    """The captions of one file.

    The first object determines the field. An object without the field, or with null in it, gives an empty text.
    Raises ``BadSource`` for a line that is not a JSON object, or whose field is not a string.
    """
    return packed(_texts(path, column, on_progress))


def _texts(path: Path, column: str | None, on_progress: OnProgress) -> Iterator[str]:
    caption: Callable[[str], str | None] | None = None
    for number, block in blocks(path, on_progress):
        for i, line in enumerate(split(block), number):
            if not line or line.isspace():
                continue
            try:
                if caption is None:
                    caption = _reader(field(path, object_of(line), column, f"line {i}"))
                yield caption(line) or ""
            except ValueError as exc:
                raise BadSource(path, str(exc), f"line {i}") from exc


def field(path: Path, row: dict[str, object], wanted: str | None, position: str) -> str:
    """The field of an object that holds its caption. Raises ``BadSource``."""
    textual = [name for name, value in row.items() if isinstance(value, str) and not looks_like_address(value)]
    if wanted is not None and wanted not in row:
        raise BadSource(path, f"there is no field {wanted!r}; the fields are: {', '.join(row) or 'none'}", position)
    return caption_column(path, list(row), wanted, textual, position)


def text_of(row: dict[str, object], name: str) -> str:
    """A field's text, empty if it is missing. Raises ``ValueError`` for other types."""
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"the field {name!r} holds {type(value).__name__}, not a string")
    return value or ""


def _reader(name: str) -> Callable[[str], str | None]:
    """Returns a function that decodes one field of a line and skips the others."""
    # lines that msgspec rejects (unpaired surrogates, NaN, depth) are parsed again, which also gives better messages
    row = msgspec.defstruct("Row", [("text", str | None, None)], rename={"text": name})
    decode = msgspec.json.Decoder(row).decode

    def caption(line: str) -> str | None:
        try:
            text: str | None = decode(line).text  # type: ignore[attr-defined] # the struct is defined at run time
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return text_of(object_of(line), name)
        return text

    return caption


def object_of(line: str | bytes) -> dict[str, object]:
    """The object on a line. Raises ``ValueError`` with a readable message."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"this is not a JSON object: {exc}") from exc
    if isinstance(row, dict):
        return row
    raise ValueError(f"this is not a JSON object but {type(row).__name__}")
