"""Caption databases in folders of this machine, each with a Qdrant Edge index: the embedded library.

::

    ROOT/SPACE/NAME@VERSION/           a finished version: manifest.json and index/
    ROOT/SPACE/active                  the name of the active version
    ROOT/SPACE/.NAME@VERSION.building/ a version in progress, with its index and the builder's journal
    ROOT/SPACE/.NAME@VERSION.restoring/ a version being restored from a snapshot; never resumed
    ROOT/SPACE/.NAME@VERSION.lock      locked (flock) while that version is built, dropped or saved

A version is moved to its final place when it is finished, including its manifest: visible versions are complete.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from vectordb.disk_space import size_of
from vectordb.edge import EdgeIndex
from vectordb.index import IndexFault, IndexMissing, WrongDimension
from vectordb.leftovers import remove_leftovers
from vectordb.library import (
    Manifest,
    VersionActive,
    VersionExists,
    safe,
    split,
)
from vectordb.locks import alone
from vectordb.options import IndexOptions
from vectordb.resources import passes
from vectordb.snapshot import OnProgress, fill, reading, silent, write
from vectordb.synced import sync_folder

_ACTIVE = "active"
_MANIFEST = "manifest.json"


class FolderLibrary:
    """A ``ChangeableLibrary`` under one root folder, which need not exist yet."""

    def __init__(self, root: Path, options: IndexOptions = IndexOptions()) -> None:  # noqa: B008 -- frozen
        """Does not access the disk. ``options``: of the indexes that are built here."""
        self._root = root
        self._options = options

    def find(self, space_id: str, captions_version: str) -> Manifest | None:
        """See ``Library``."""
        return _manifest(self._place(space_id, captions_version))

    def manifests(self, space_id: str | None = None) -> list[Manifest]:
        """See ``Library``."""
        found = map(_manifest, self._root.glob(f"{'*' if space_id is None else safe(space_id)}/[!.]*@*"))
        return sorted(filter(None, found), key=lambda m: (datetime.fromisoformat(m.created), m.captions_version))

    def active(self, space_id: str) -> str | None:
        """See ``Library``."""
        try:
            return (self._root / safe(space_id) / _ACTIVE).read_text(encoding="utf-8").strip() or None
        except OSError as exc:
            if passes(exc):  # none may be active: others would be searched instead
                raise IndexFault(f"the captions in {self._root} cannot be looked at: {exc}") from exc
            return None

    def open(self, space_id: str, captions_version: str) -> EdgeIndex:
        """See ``Library``."""
        place = self._place(space_id, captions_version)
        manifest = self._known(space_id, captions_version)
        index = EdgeIndex.open(place / "index", self._options)
        if index.dimension != manifest.dimension or (manifest.count and not index.count()):
            index.close()
            raise IndexMissing(f"the captions in {place} are damaged: remove the folder and build them again")
        return index

    @contextmanager
    def building(
        self, space_id: str, captions_version: str, dimension: int, *, resume: bool = True
    ) -> Iterator[FolderBuilding]:
        """See ``ChangeableLibrary``."""
        place = self._place(space_id, captions_version)
        with _alone(place):
            if _manifest(place):
                raise VersionExists(f"the version {captions_version} already exists")
            work = _work(place)
            shutil.rmtree(_restoring(place), ignore_errors=True)
            if not resume:
                shutil.rmtree(work, ignore_errors=True)
            index = _resumed(work / "index", dimension, self._options)
            try:
                yield FolderBuilding(index, work, place)
            finally:
                index.close()

    def use(self, space_id: str, captions_version: str) -> None:
        """See ``ChangeableLibrary``."""
        self._known(space_id, captions_version)
        _replace(self._root / safe(space_id) / _ACTIVE, captions_version)

    def set_thresholds(self, space_id: str, captions_version: str, thresholds: Mapping[str, Any]) -> Manifest:
        """See ``ChangeableLibrary``. The version may be open meanwhile."""
        place = self._place(space_id, captions_version)
        with _alone(place):
            manifest = replace(self._known(space_id, captions_version), thresholds=thresholds)
            _replace(place / _MANIFEST, json.dumps(manifest.stored(), indent=2))
        return manifest

    def unfinished(self) -> list[tuple[str, str]]:
        """See ``ChangeableLibrary``."""
        works = sorted(self._root.glob("*/.*@*.building"))
        return [(work.parent.name, work.name.removeprefix(".").removesuffix(".building")) for work in works]

    def drop(self, space_id: str, captions_version: str) -> None:
        """See ``ChangeableLibrary``. The version disappears at once; its files are removed afterwards."""
        place = self._place(space_id, captions_version)
        if _work(place).exists():
            with _alone(place):
                shutil.rmtree(_work(place))
            if _manifest(place) is None:
                return
        self._known(space_id, captions_version)
        if self.active(space_id) == captions_version:
            raise VersionActive(f"{captions_version} is the active version; activate another one before you drop it")
        with _alone(place):
            EdgeIndex.open(place / "index", self._options).close()  # checks that no other process has it open
            gone = place.with_name(f".{place.name}.dropped")
            shutil.rmtree(gone, ignore_errors=True)
            place.rename(gone)
            shutil.rmtree(gone)

    def drop_space(self, space_id: str) -> None:
        """See ``ChangeableLibrary``. A version that another process has open stays readable for that one."""
        shutil.rmtree(self._root / safe(space_id), ignore_errors=True)

    def size(self, space_id: str, captions_version: str) -> int:
        """See ``ChangeableLibrary``."""
        self._known(space_id, captions_version)
        return size_of(self._place(space_id, captions_version))

    def snapshot(self, space_id: str, captions_version: str, file: Path) -> None:
        """See ``ChangeableLibrary``. No other process can open the version meanwhile."""
        manifest = self._known(space_id, captions_version)
        index = self.open(space_id, captions_version)
        try:
            write(file, manifest, index)
        finally:
            index.close()

    def restore(self, file: Path, on_progress: OnProgress = silent) -> Manifest:
        """See ``ChangeableLibrary``."""
        with reading(file, self._root) as saved:
            manifest = saved.manifest
            place = self._place(manifest.space_id, manifest.captions_version)
            with _alone(place):
                if _manifest(place):
                    raise VersionExists(f"the version {manifest.captions_version} already exists")
                work = _restoring(place)
                shutil.rmtree(work, ignore_errors=True)  # left by a process that was killed
                try:
                    index = EdgeIndex.create(work / "index", manifest.dimension, self._options)
                    try:
                        fill(index, saved, on_progress)
                        FolderBuilding(index, work, place).finish(manifest)
                    finally:
                        index.close()
                    shutil.rmtree(_work(place), ignore_errors=True)  # an unfinished build is no longer needed
                finally:
                    shutil.rmtree(work, ignore_errors=True)
        return manifest

    def _place(self, space_id: str, captions_version: str) -> Path:
        return self._root / safe(space_id) / "@".join(split(captions_version))

    def _known(self, space_id: str, captions_version: str) -> Manifest:
        manifest = self.find(space_id, captions_version)
        if manifest is None:
            raise IndexMissing(f"there are no captions {captions_version} for the space {space_id} in {self._root}")
        return manifest


class FolderBuilding:
    """A ``Building`` in a hidden folder beside its final place."""

    def __init__(self, index: EdgeIndex, work: Path, place: Path) -> None:
        """Used by ``FolderLibrary.building``."""
        self.index = index
        self.folder = work / "notes"
        self.folder.mkdir(exist_ok=True)
        self._work = work
        self._place = place

    def finish(self, manifest: Manifest) -> None:
        """See ``Building``."""
        self.index.optimize()
        self.index.close()
        shutil.rmtree(self.folder)
        with (self._work / _MANIFEST).open("w", encoding="utf-8") as out:
            json.dump(manifest.stored(), out, indent=2)
            out.flush()
            os.fsync(out.fileno())
        shutil.rmtree(self._place, ignore_errors=True)  # a folder without a manifest is not a version
        _sync(self._work)
        self._work.rename(self._place)
        sync_folder(self._place.parent)


def _sync(folder: Path) -> None:
    """Write all files below a folder to the disk, so that a power failure leaves no version in part."""
    for above, _, names in os.walk(folder):
        for name in names:
            with (Path(above) / name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(above))


def _replace(file: Path, content: str) -> None:
    """Replace a file atomically; it survives a power failure."""
    remove_leftovers(file.parent, f".{file.name}-*")
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}-", delete=False) as draft:
        draft.write(content)
        draft.flush()
        os.fsync(draft.fileno())
    Path(draft.name).replace(file)


def _work(place: Path) -> Path:
    """The folder in which a version is built."""
    return place.with_name(f".{place.name}.building")


def _restoring(place: Path) -> Path:
    """The folder in which a version is restored."""
    return place.with_name(f".{place.name}.restoring")


def _manifest(place: Path) -> Manifest | None:
    """The manifest of the version in a folder, if it exists. Raises ``IndexFault`` if that cannot be told now."""
    try:
        return Manifest(**json.loads((place / _MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as exc:
        if passes(exc):
            raise IndexFault(f"the captions in {place} cannot be read now: {exc}") from exc
        return None


def _resumed(path: Path, dimension: int, options: IndexOptions) -> EdgeIndex:
    """The index of an interrupted build, or a new one if none can be opened."""
    with contextlib.suppress(IndexMissing):
        index = EdgeIndex.open(path, options)
        if index.dimension != dimension:
            index.close()
            raise WrongDimension(f"the unfinished build at {path} has {index.dimension} dimensions, not {dimension}")
        return index
    shutil.rmtree(path.parent, ignore_errors=True)  # including the builder's journal, which refers to the lost index
    return EdgeIndex.create(path, dimension, options)


def _alone(place: Path) -> AbstractContextManager[None]:
    """Locks a version against other processes."""
    return alone(place.with_name(f".{place.name}.lock"), place.name)
