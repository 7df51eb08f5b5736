"""An embedded image index that has its graphs built by another process, while it is searched and changed.

``maintain`` starts a build when more than ``LEAST`` images have no graph. The build works on a copy of the shard (see
``vectordb.image_graph``). Meanwhile the ids of changed images are noted in memory. When it has ended, ``maintain``
puts the new shard in the place of the old one and repeats the noted changes. Files, beside those of ``EdgeImages``::

    building-*/   the copy of a build, useless without the process that began it
    shard.old/    the old shard, until the noted changes are repeated in the new one
    owner.lock    locked (flock) while the index is open

**Kills.** The old shard has all images until it is moved into the folder of the build, which is one rename. So
whoever opens the index next moves ``shard.old``, if there is one, back to ``shard``, and removes ``building-*``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import qdrant_edge as edge
import structlog

from vectordb import image_graph
from vectordb.disk_space import DiskFull, require_space, size_of
from vectordb.errors import WildtagError
from vectordb.image_edge import DEFAULT, SEGMENT, EdgeImages
from vectordb.images import PAGE, ImageEntry, ImageLabels
from vectordb.index import Floats, IndexFault, IndexLocked
from vectordb.options import IndexOptions

log = structlog.get_logger()

LEAST = 20_000  # images without a graph that start a build: a scan of their codes takes about 0.5 ms
RETRY_S = 600.0  # seconds from a failed build to the next


@dataclass(frozen=True)
class _Build:
    folder: Path
    process: subprocess.Popen[bytes]


class GrowingImages(EdgeImages):
    """An ``EdgeImages`` with ``maintain``. Raises ``IndexLocked`` when it is opened while another one is open."""

    def __init__(self, path: Path, dimension: int, options: IndexOptions = DEFAULT) -> None:
        """See ``EdgeImages``."""
        self._lock = _locked(path)
        try:
            recover(path)
            self._unknown = image_graph.without_graph(path / "shard")  # number of images that have no graph, too
            super().__init__(path, dimension, options)
        except BaseException:
            os.close(self._lock)
            raise
        self._pid = os.getpid()
        self._open = True
        self._changing = threading.RLock()  # no change between the copy and the first noted id, nor during a swap
        self._build: _Build | None = None
        # ids of images that have no graph: those that changed since the copy of the last complete build was made
        self._changed: set[int] = set()
        self._noted: set[int] = set()  # the same for the build that is running
        self._not_before = 0.0
        self._full = False

    def put(self, entries: Sequence[ImageEntry], vectors: Floats) -> None:
        """See ``ImageIndex.put``. Raises ``DiskFull``."""
        with self._changing:
            self._note([entry.id for entry in entries])
            super().put(entries, vectors)

    def label(self, labels: Sequence[ImageLabels]) -> None:
        """See ``ImageIndex.label``."""
        with self._changing:
            super().label(labels)

    def remove(self, ids: Sequence[int]) -> None:
        """See ``ImageIndex.remove``."""
        with self._changing:
            self._note(ids)
            self._changed.difference_update(ids)
            super().remove(ids)

    def maintain(self, least: int = LEAST) -> None:
        """See ``ImageIndex.maintain``. ``least``: the number of images without a graph that starts a build."""
        with self._changing:
            if self._build is not None:
                self._follow(self._build)
            elif self.without_graph() > least and time.monotonic() >= self._not_before:
                self._begin()

    def without_graph(self) -> int:
        """About the number of images that every search scans; removed ones may be included."""
        return self._unknown + len(self._changed)

    def close(self) -> None:
        """See ``ImageIndex.close``. Ends a build without its result."""
        if not self._open or os.getpid() != self._pid:
            return
        with self._changing:
            self._open = False
            self._end_build()
            try:
                super().close()
            finally:
                os.close(self._lock)

    def _change(self, ids: Sequence[int]) -> None:
        self._note(ids)

    def _note(self, ids: Sequence[int]) -> None:
        self._changed.update(ids)
        if self._build is not None:
            self._noted.update(ids)

    def _begin(self) -> None:
        folder, shard = self._path / f"building-{uuid4().hex}", self._path / "shard"
        began = time.monotonic()
        try:
            with self._shard.used() as opened:
                opened.flush()
                merged = min(size_of(shard), SEGMENT * self.dimension * 6)
                require_space(self._path, 3 * image_graph.bytes_to_copy(shard) + merged, "build the graph of images")
                image_graph.copy(shard, folder / "shard")
            shutil.copy(self._path / "index.json", folder)
            self._build = _Build(folder, image_graph.start(folder, self._options))
            self._noted = set()
        except DiskFull as exc:
            self._failed(str(exc), folder, told=self._full)
            self._full = True
            return
        except OSError as exc:
            self._failed(str(exc), folder)
            return
        self._full = False
        took = round(time.monotonic() - began, 2)
        log.info("image graph is being built", images=self.without_graph(), copied_in_s=took)

    def _follow(self, build: _Build) -> None:
        status = build.process.poll()
        if status is None:
            return
        if status:
            self._build = None
            self._failed(f"its process ended with {status}: {image_graph.last_words(build.folder)}", build.folder)
            return
        began = time.monotonic()
        try:
            with self._shard.used():
                self._swap(build)
        except (WildtagError, OSError) as exc:
            self._build = None
            self._restore()
            self._failed(str(exc), build.folder)
            return
        self._build = None
        took = round(time.monotonic() - began, 2)
        log.info("image graph built", repeated=len(self._noted), swapped_in_s=took)
        self._changed, self._noted, self._unknown = self._noted, set(), 0

    def _swap(self, build: _Build) -> None:
        noted = sorted(self._noted)
        # the library's lists may hold other kinds of ids
        pages: list[list[Any]] = [list(noted[start : start + PAGE]) for start in range(0, len(noted), PAGE)]
        changed: list[list[edge.Point]] = []
        with self._shard.used() as old:
            for page in pages:
                found = old.retrieve(page, with_payload=True, with_vector=True)
                changed.append([edge.Point(one.id, one.vector, one.payload) for one in found])  # type: ignore[arg-type] # as stored
        expected = self.count()
        require_space(self._path, 4 * 4 * self.dimension * len(noted), "repeat changes of images")
        self._shard.renew(closed=lambda: put_in_place(self._path, build.folder))
        with self._shard.used() as new:
            for page, points in zip(pages, changed, strict=True):
                new.update(edge.UpdateOperation.delete_points(page))
                if points:
                    new.update(edge.UpdateOperation.upsert_points(points))
            new.flush()
        if (count := self.count()) != expected:
            raise IndexFault(f"the new index holds {count:,} images, the old one {expected:,}")
        complete(self._path, build.folder)

    def _restore(self) -> None:
        try:
            self._shard.renew(closed=lambda: recover(self._path))  # closed if the new shard was not opened
        except OSError as exc:  # the next opening tries again
            raise IndexFault(f"the index at {self._path} was not restored: {exc}") from exc

    def _end_build(self) -> None:
        build, self._build = self._build, None
        if build is not None:
            build.process.kill()
            build.process.wait()
            shutil.rmtree(build.folder, ignore_errors=True)

    def _failed(self, reason: str, folder: Path, *, told: bool = False) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._not_before = time.monotonic() + RETRY_S
        if not told:
            then = "searches are complete but slower; it is tried again"
            log.warning("image graph not built", reason=reason, then=then, retry_s=RETRY_S)


def put_in_place(path: Path, folder: Path) -> None:
    """Move the old shard aside, and the one of the build to its place."""
    (path / "shard").rename(path / "shard.old")
    (folder / "shard").rename(path / "shard")


def complete(path: Path, folder: Path) -> None:
    """Give up the old shard: the new one has everything."""
    (path / "shard.old").rename(folder / "shard.old")
    shutil.rmtree(folder, ignore_errors=True)


def recover(path: Path) -> None:
    """Undo what a killed owner did not complete."""
    old, shard = path / "shard.old", path / "shard"
    if old.exists():
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(shard)
        old.rename(shard)
    for folder in path.glob("building-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _locked(path: Path) -> int:
    file = os.open(path / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        os.close(file)
        raise IndexLocked(f"the index at {path} is already open, here or in another process") from exc
    return file
