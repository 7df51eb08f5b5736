"""The files below the output prefix of a folder. They are not objects, and only listed for those who ask for them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from workers.stores.folder_names import hidden, key_text, name_of
from workers.stores.store import StoreAway


def output_keys(roots: Iterable[Path], output: str, prefix: str) -> list[str]:
    """The keys that begin with ``prefix``, in byte order. ``prefix`` begins with ``output``, the output prefix.

    ``roots``: the folders in which they may be. Unfinished files are left out. Raises ``StoreAway`` for a folder that
    exists and cannot be listed: an incomplete list would look like a complete one.
    """
    return sorted({key for root in roots for key in _below(root, output) if key.startswith(prefix)}, key=str.encode)


def _below(root: Path, output: str) -> Iterable[str]:
    for folder, _, names in os.walk(root / name_of(output.rstrip("/")), onerror=_raise):
        inner = os.path.relpath(folder, root)
        for name in names:
            if not hidden(name):
                yield key_text(f"{inner}/{name}")


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise StoreAway(f"the folder {error.filename} cannot be listed: {error.strerror}") from error
