"""The files below the output prefix of a folder. They are not objects, and only listed for those who ask for them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from workers.stores.folder_descent import Descent
from workers.stores.folder_names import hidden, key_text, name_of
from workers.stores.store import StoreAway


def output_keys(roots: Iterable[Path], output: str, prefix: str) -> list[str]:
    """The keys that begin with ``prefix``, in byte order. ``prefix`` begins with ``output``, the output prefix.

    ``roots``: the folders in which they may be. Unfinished files are left out, and links are not followed. Raises
    ``StoreAway`` for a folder that exists and cannot be listed: an incomplete list would look like a complete one.
    """
    top = name_of(output.rstrip("/"))
    return sorted(
        {key for root in roots for key in _below(Descent(root), top) if key.startswith(prefix)}, key=str.encode
    )


def _below(descent: Descent, folder: str) -> Iterator[str]:
    """The keys of the files in a folder and in those in it. Holds no descriptor while it yields."""
    try:
        with (
            descent.opened(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW) as opened,
            os.scandir(opened) as found,
        ):
            entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
    except FileNotFoundError:
        return
    except OSError as exc:
        raise StoreAway(f"the folder {descent.root / folder} cannot be listed: {exc.strerror}") from exc
    for name, is_folder in entries:
        if is_folder:
            yield from _below(descent, f"{folder}/{name}")
        elif not hidden(name):
            yield key_text(f"{folder}/{name}")
