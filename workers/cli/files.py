"""Files that are named on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from workers.cli.console import clean, messages
from workers.stores.folder_names import hidden
from workers.stores.key_patterns import SIDE


def expanded(paths: Iterable[Path]) -> Iterator[Path]:
    """Files, and the files in folders, recursively. What is hidden and side files only if they are named."""
    for path in paths:
        if path.is_dir():
            inside = sorted(
                p for p in path.rglob("*") if p.is_file() and not _left_out(p.relative_to(path).as_posix())
            )
            if not inside:
                messages.print(f"[yellow]{clean(str(path))}: the folder contains no files[/]")
            yield from inside
        else:
            yield path


def _left_out(key: str) -> bool:
    return hidden(key) or SIDE.match(key)
