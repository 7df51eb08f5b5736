"""Plain text: one caption per line. An empty line is an empty caption."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from vectordb.readers.lines import blocks, split
from vectordb.readers.rows import BadSource, OnProgress, Rows, packed


def read(path: Path, column: str | None, on_progress: OnProgress) -> Iterator[Rows]:
    """The lines of one file."""
    if column is not None:
        raise BadSource(path, f"plain text has no columns, so there is no {column!r}; is it a CSV or TSV file?")
    return packed(chain.from_iterable(split(block) for _, block in blocks(path, on_progress)))
