"""Caption databases and their versions: metadata, and the interface of libraries that store them.

A database has a name; each build of it is a *version*; ``name@version`` identifies one within a vector space. A
version becomes visible when it is complete, and then changes only by taught or removed captions, and by thresholds
that are derived for it later. One version of a space is *active*: new images are tagged with it.

Libraries: ``vectordb.folder`` (Qdrant Edge in folders of this machine) and ``vectordb.server_library`` (a Qdrant
server).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from vectordb.errors import Permanent, Transient
from vectordb.index import CaptionIndex

# valid as the name of a folder or as part of a collection's name
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


_LATER = ("thresholds", "skipped", "skipped_examples")


class UnsafeName(Permanent):
    """A space, name or version that is not valid as a folder name."""


class BuildRunning(Transient):
    """Another process is building this version."""


class VersionExists(Permanent):
    """This version already exists."""


class VersionActive(Permanent):
    """The version is active and cannot be dropped."""


@dataclass(frozen=True)
class Manifest:
    """Metadata of a version.

    ``origin``: where its captions came from, for users; ``source``: the same for comparison. ``read``, ``empty`` and
    ``duplicate`` count the captions of its source, the empty ones and the repeated ones. ``profile``: whose
    candidates are stored with the captions, if any. ``fault``: why the source was not read completely, if so.
    ``created`` is ISO 8601. ``thresholds``: JSON values that were derived for these captions, if any. ``skipped``
    counts the rows of the source that were left out, by reason; ``skipped_examples`` describes the first ones.
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
    thresholds: Mapping[str, Any] | None = field(default=None, hash=False)
    skipped: Mapping[str, int] = field(default_factory=dict, hash=False)
    skipped_examples: Sequence[str] = field(default=(), hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "skipped_examples", tuple(self.skipped_examples))  # JSON has lists

    def stored(self) -> dict[str, Any]:
        """As JSON values. Later fields are left out where they are empty: earlier versions of wildtag can read it."""
        values = asdict(self)
        return {name: value for name, value in values.items() if name not in _LATER or value}

    @property
    def captions_version(self) -> str:
        """``name@version``: identifies the version within its space."""
        return f"{self.name}@{self.version}"


class Building(Protocol):
    """A version in progress. Added captions survive a kill: the next build resumes with them."""

    @property
    def index(self) -> CaptionIndex:
        """The captions added so far."""
        ...

    @property
    def folder(self) -> Path:
        """A local folder for the builder's journal; removed when the version is finished."""
        ...

    def finish(self, manifest: Manifest) -> None:
        """Build the graph, then publish the version and close the index."""
        ...


class Library(Protocol):
    """Read access to all versions of all databases."""

    def find(self, space_id: str, captions_version: str) -> Manifest | None:
        """The version of this space called ``name@version``, if it is complete."""
        ...

    def manifests(self, space_id: str | None = None) -> list[Manifest]:
        """All complete versions of a space, or of all spaces, oldest first."""
        ...

    def active(self, space_id: str) -> str | None:
        """``name@version`` of the active version."""
        ...

    def unfinished(self) -> list[tuple[str, str]]:
        """Space and ``name@version`` of builds that are running or were interrupted."""
        ...

    def open(self, space_id: str, captions_version: str) -> CaptionIndex:
        """The index of a version. Raises ``IndexMissing``; ``IndexLocked`` if it is open elsewhere."""
        ...


class ChangeableLibrary(Library, Protocol):
    """Read and write access to all versions of all databases."""

    def building(
        self, space_id: str, captions_version: str, dimension: int, *, resume: bool = True
    ) -> AbstractContextManager[Building]:
        """Build a version, or resume an interrupted build; ``resume=False`` deletes that first.

        Raises ``VersionExists``, ``BuildRunning``, ``UnsafeName``; ``WrongDimension`` if an interrupted build has
        another dimension.
        """
        ...

    def use(self, space_id: str, captions_version: str) -> None:
        """Activate a version for all processes at once. Raises ``IndexMissing``."""
        ...

    def set_thresholds(self, space_id: str, captions_version: str, thresholds: Mapping[str, Any]) -> Manifest:
        """Replace the thresholds in the metadata of a version. Raises ``IndexMissing``, ``BuildRunning``."""
        ...

    def drop(self, space_id: str, captions_version: str) -> None:
        """Delete a version, or the rest of an interrupted build.

        Raises ``VersionActive`` for the active one, ``IndexMissing``, ``IndexLocked``, ``BuildRunning``.
        """
        ...

    def drop_space(self, space_id: str) -> None:
        """Delete all versions of a space, the active one and interrupted builds, too. May be repeated.

        Raises ``IndexLocked``, ``BuildRunning``.
        """
        ...

    def size(self, space_id: str, captions_version: str) -> int:
        """Bytes that a version takes on disk. Raises ``IndexMissing``."""
        ...

    def snapshot(self, space_id: str, captions_version: str, file: Path) -> None:
        """Write a version to one file atomically. Raises ``IndexMissing``, ``IndexLocked``.

        The file has the format of ``vectordb.snapshot``, which every library can restore.
        """
        ...

    def restore(self, file: Path, on_progress: Callable[[int], None] = lambda _: None) -> Manifest:
        """Restore a version from a snapshot of any library and any age, and build its graph.

        ``on_progress`` receives the number of restored captions. An incomplete version is never visible, nor resumed.
        Raises ``VersionExists``, ``BadSnapshot``, ``BuildRunning``.
        """
        ...


class BadSnapshot(Permanent):
    """The file is not a snapshot, or the snapshot is incomplete or damaged."""


def safe(name: str) -> str:
    """Return the name if it is valid as a folder name; raises ``UnsafeName``."""
    if not _SAFE.fullmatch(name):
        raise UnsafeName(
            f"the name {name!r} is not valid: use letters, digits and . _ + - only, starting with a letter or digit"
        )
    return name


def split(captions_version: str) -> tuple[str, str]:
    """Split ``name@version`` into name and version, both validated."""
    name, _, version = captions_version.partition("@")
    return safe(name), safe(version)
