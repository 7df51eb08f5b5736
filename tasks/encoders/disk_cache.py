"""Arrays that are computed once and cached on disk, written atomically."""

from __future__ import annotations

import glob
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tasks.encoders.protocols import Floats
from vectordb.leftovers import remove_leftovers


def cached_on_disk(path: Path, compute: Callable[[], Mapping[str, Floats]]) -> dict[str, Floats]:
    """Return the arrays at ``path`` (npz); if they cannot be read, compute and store them.

    Several processes may do so at once: each writes its own file and renames it, the last one wins. If the folder is
    not writable, the arrays are computed at every start.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: np.asarray(stored[name], dtype=np.float32) for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        arrays = dict(compute())
    try:
        _write(path, arrays)
    except OSError:
        return arrays
    return arrays


@contextmanager
def replacing(*paths: Path) -> Iterator[Path]:
    """A folder for new files with the names of ``paths``, which take their places at the end, in this order.

    Whoever reads a path finds the old file or the new one, whole. Raises ``OSError``.
    """
    parent = paths[0].parent
    parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(parent, f".{glob.escape(paths[0].stem)}-*")
    with tempfile.TemporaryDirectory(dir=parent, prefix=f".{paths[0].stem}-") as folder:
        yield Path(folder)
        for path in paths:
            written = Path(folder, path.name)
            with written.open("rb") as content:
                os.fsync(content.fileno())
            written.replace(path)


def _write(path: Path, arrays: Mapping[str, Floats]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent, f".{glob.escape(path.stem)}-*")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
    try:
        with os.fdopen(handle, "wb") as file:
            # savez accepts arrays with any name, which its stub cannot express beside allow_pickle
            np.savez(file, allow_pickle=False, **dict(arrays))
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
