"""An open Qdrant Edge shard: one owner, no forks, one call at a time. Used by the captions and by the images.

**One owner.** The shard's write-ahead log is locked while it is open: a second ``OpenShard``, in this process or
another, raises ``IndexLocked``. The log is therefore never disabled, as nothing else keeps two owners apart.

**Forks.** A forked child inherits the lock, keeps it after the parent has closed the shard, and would hang in its
first search, because the library's threads do not exist in it. Open the shard after the fork; an inherited one raises
``IndexFault`` instead of hanging.

**Threads.** Calls from several threads are safe but run one after the other: the library holds the GIL during every
call, including a whole ``optimize``. A process that must respond meanwhile should build in another process.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import qdrant_edge as edge

from vectordb.disk_space import OPENING, require_space
from vectordb.index import IndexExists, IndexFault, IndexLocked, IndexMissing, WrongDimension
from vectordb.mapped_files import release
from vectordb.resources import lacks_resources, passes

_LOG = "wal"  # read completely when a shard is opened: 57 MB for 30,000 captions


class OpenShard:
    """The shard in the folder ``path``, opened at once.

    Raises ``IndexLocked``, ``IndexMissing``, ``IndexFault``, and ``DiskFull`` if there is no room to open it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._owner = os.getpid()
        self._closed = False
        self._turn = threading.RLock()  # no calls by others while the shard is reopened
        self._require_space()
        with translated(path):
            self._shard = edge.EdgeShard.load(str(path))
        release(path / _LOG)
        self._identity = _identity(path)

    @contextmanager
    def used(self) -> Iterator[edge.EdgeShard]:
        """The shard, for the process that opened it and until it is closed, one thread at a time.

        Raises ``IndexMissing`` if its folder was removed or replaced: the library goes on with files that are gone.
        """
        # checked first: after a fork a thread that does not exist here may hold the lock
        if os.getpid() != self._owner:
            raise IndexFault("this index was opened before a fork; open it in the process that uses it")
        with self._turn:
            if self._closed:
                raise IndexFault("this index is closed")
            if _identity(self._path) != self._identity:
                raise IndexMissing(f"the index at {self._path} was removed or replaced while it was open")
            with translated():
                yield self._shard

    def renew(self, config: edge.EdgeConfig | None = None, closed: Callable[[], object] = lambda: None) -> None:
        """Close the shard and open it again, with another ``config`` if given; releases the lock in between.

        Called within ``used``. ``closed`` is called in between. After an error the shard is closed, and ``renew`` may
        be called again.
        """
        self._require_space()
        self.close()
        closed()
        with translated(self._path):
            self._shard = edge.EdgeShard.load(str(self._path), config)
        release(self._path / _LOG)
        self._identity = _identity(self._path)
        self._closed = False

    def _require_space(self) -> None:
        """Raise ``DiskFull`` where the kernel would kill this process for opening it."""
        if self._path.is_dir():  # otherwise the library says that it is missing
            require_space(self._path, 0, "open the index", OPENING)

    def close(self) -> None:
        """Flush and release it. May be called twice. Does nothing in a forked child: the parent is the owner."""
        if self._closed or os.getpid() != self._owner:
            return
        with self._turn:
            self._closed = True
            with translated():
                self._shard.flush()
                self._shard.close()


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of a folder; ``None`` if it is not there. Raises ``IndexFault`` if that cannot be told now."""
    try:
        found = path.stat()
    except OSError as exc:
        if passes(exc):
            raise IndexFault(f"the index at {path} cannot be looked at: {exc}") from exc
        return None
    return found.st_dev, found.st_ino


def recorded_dimension(path: Path, missing: str) -> int:
    """The dimension in ``index.json`` of an index's folder. Raises ``IndexMissing`` with ``missing``.

    The library would create a shard in any folder, so this comes before opening one.
    """
    try:
        return int(json.loads((path / "index.json").read_text())["dimension"])
    except (OSError, ValueError, KeyError, TypeError, MemoryError) as exc:
        if passes(exc):
            raise IndexFault(f"the index at {path} cannot be read now: {exc or 'no memory'}") from exc
        raise IndexMissing(f"{missing} at {path}: {exc}") from exc


@contextmanager
def translated(path: Path | None = None) -> Iterator[None]:
    """Translates the library's errors. It raises bare ``Exception``, so only the text distinguishes them.

    A lack of memory, descriptors or room is no damage, whatever could not be loaded for it. A panic of the library is
    a ``BaseException``, and a fault of the index like any other.
    """
    where = f" at {path}" if path else ""
    try:
        yield
    except BaseException as exc:
        if type(exc).__name__ == "PanicException":
            raise IndexFault(f"the index{where} failed: {exc}") from exc
        if isinstance(exc, MemoryError):
            raise IndexFault(f"the index{where} got no memory") from exc
        if type(exc) is not Exception:  # a wrong argument: a bug here, not a fault of the library
            raise
        text = str(exc)
        if lacks_resources(text):
            raise IndexFault(f"the index{where} cannot be used now: {text}") from exc
        if "WouldBlock" in text:
            raise IndexLocked(f"the index{where} is already open, here or in another process") from exc
        if "Vector dimension error" in text or "expected vector size" in text:
            raise WrongDimension(text) from exc
        if "already contains segment data" in text:
            raise IndexExists(f"an index already exists{where}") from exc
        if any(sign in text for sign in ("cannot load edge shard", "no segments", "failed to load segment")):
            raise IndexMissing(f"there is no index{where}: {text}") from exc
        raise IndexFault(f"the index{where} failed: {text}") from exc
