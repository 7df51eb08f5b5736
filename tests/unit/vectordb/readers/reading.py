"""What the readers' tests share: read a source to its end, or to its fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from vectordb.readers import BadSource, source_of


def read(*paths: Path, column: str | None = None, **options: str) -> list[str]:
    """All texts of a source."""
    return [text for rows in source_of(paths, column=column, **options).read() for text in rows.texts]


def broken(*paths: Path, column: str | None = None, **options: str) -> tuple[list[str], BadSource]:
    """The texts before the fault, and the fault."""
    texts: list[str] = []
    try:
        for rows in source_of(paths, column=column, **options).read():
            texts += rows.texts
    except BadSource as exc:
        return texts, exc
    pytest.fail("nothing is wrong")


def written(path: Path, data: str | bytes) -> Path:
    """A file with this content, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path
