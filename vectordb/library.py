"""Caption databases and their versions: what is known of one, and how all of them are kept.

A database has a name; each build of it is a *version*; ``name@version`` names one within a vector space. A version is
seen when it is whole, and never changes afterwards but for captions that are taught or taken back. One version of a
space is *active*: what new images are tagged with.

Homes: ``vectordb.folder`` (Qdrant Edge in folders of this machine) and ``vectordb.server_library`` (a Qdrant server).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vectordb.errors import Permanent, Transient
from vectordb.index import CaptionIndex

# what may be a folder's name or a part of a collection's, and cannot lead anywhere else
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


class UnsafeName(Permanent):
    """A space, name or version that cannot be the name of a folder."""


class BuildRunning(Transient):
    """Somebody is building this version of this database at this moment."""


class VersionExists(Permanent):
    """This version of this database is whole already."""


class VersionActive(Permanent):
    """The version is what images are tagged with; it cannot be dropped."""


@dataclass(frozen=True)
class Manifest:
    """What is known of a version.

    ``origin``: where its captions came from, for people; ``source`` tells the same for comparing. ``read``, ``empty``
    and ``duplicate`` count the captions of its source, those with nothing to say and those that had come before.
    ``profile``: whose candidates are stored with the captions, if any. ``fault``: why the source was not read to its
    end, if it was not. ``created`` is ISO 8601.
    """

    name: str
    version: str
    space_id: str
    dimension: int
    count: int
    template: str | None
    created: str
    origin: str = ""
    read: int = 0
    empty: int = 0
    duplicate: int = 0
    profile: str | None = None
    source: str = ""
    fault: str = ""

    @property
    def captions_version(self) -> str:
        """``name@version``: names the database within its space."""
        return f"{self.name}@{self.version}"


class Building(Protocol):
    """A version that is being built. What was added survives a kill: the next build goes on with it."""

    @property
    def index(self) -> CaptionIndex:
        """What has been added so far."""
        ...

    @property
    def folder(self) -> Path:
        """A folder of this machine for the builder's notes; it goes when the version is finished."""
        ...

    def finish(self, manifest: Manifest) -> None:
        """Build the graph, then let the version be seen. The index is closed."""
        ...


class Library(Protocol):
    """All versions of all databases, to be read."""

    def find(self, space_id: str, captions_version: str) -> Manifest | None:
        """The version of this space called ``name@version``, if there is a whole one."""
        ...

    def manifests(self, space_id: str | None = None) -> list[Manifest]:
        """All whole versions of a space, or of all spaces, the oldest first."""
        ...

    def active(self, space_id: str) -> str | None:
        """``name@version`` of the active version."""
        ...

    def unfinished(self) -> list[tuple[str, str]]:
        """Space and ``name@version`` of builds that are under way or were interrupted."""
        ...

    def open(self, space_id: str, captions_version: str) -> CaptionIndex:
        """The index of a version. Raises ``IndexMissing``; ``IndexLocked`` where it has another owner."""
        ...


class ChangeableLibrary(Library, Protocol):
    """All versions of all databases, to be changed."""

    def building(
        self, space_id: str, captions_version: str, dimension: int, *, resume: bool = True
    ) -> AbstractContextManager[Building]:
        """Build a version, or go on with a build that was interrupted; ``resume=False`` throws that away.

        Raises ``VersionExists``, ``BuildRunning``, ``UnsafeName``; ``WrongDimension`` where an interrupted build
        has another dimension.
        """
        ...

    def use(self, space_id: str, captions_version: str) -> None:
        """Make a version the active one, at once for everybody. Raises ``IndexMissing``."""
        ...

    def drop(self, space_id: str, captions_version: str) -> None:
        """Remove a version, or what an interrupted build of it has left.

        Raises ``VersionActive`` for the active one, ``IndexMissing``, ``IndexLocked``, ``BuildRunning``.
        """
        ...

    def size(self, space_id: str, captions_version: str) -> int:
        """Bytes that a version takes on disk. Raises ``IndexMissing``."""
        ...

    def snapshot(self, space_id: str, captions_version: str, file: Path) -> None:
        """Write a version to one file, whole or not at all. Raises ``IndexMissing``, ``IndexLocked``.

        The file is one of ``vectordb.snapshot``, which every home takes in.
        """
        ...

    def restore(self, file: Path, tell: Callable[[int], None] = lambda _: None) -> Manifest:
        """Take a version in from a snapshot of any home and any age, and build its graph.

        ``tell`` hears how many captions have come in so far. What is half restored is never seen, nor gone on with.
        Raises ``VersionExists``, ``BadSnapshot``, ``BuildRunning``.
        """
        ...


class BadSnapshot(Permanent):
    """The file is not a snapshot, not a whole one, or a damaged one."""


def safe(name: str) -> str:
    """The name, if a folder may bear it; else ``UnsafeName``."""
    if not _SAFE.fullmatch(name):
        raise UnsafeName(f"{name!r} cannot name a folder: letters, digits and . _ + - only, a letter or digit first")
    return name


def split(captions_version: str) -> tuple[str, str]:
    """Name and version of ``name@version``, both safe."""
    name, _, version = captions_version.partition("@")
    return safe(name), safe(version)
