"""The keys of the files in a folder, in byte order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import structlog

from vectordb.resources import passes
from workers.stores.folder_descent import Descent
from workers.stores.folder_files import remove_abandoned, unfinished
from workers.stores.folder_names import hidden, key_text, name_of
from workers.stores.store import ObjectForbidden, StoreAway

log = structlog.get_logger()

FollowLinks = Literal["none", "inside", "anywhere"]
"""Which links to folders are followed. ``inside``: those to folders inside the inbox."""
TOLD = 100  # links that one process logs
_Ids = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Walk:
    """Lists a folder. ``skipped``: whether a key is left out; that of a folder ends with a slash.

    Hidden files and folders are left out too.
    """

    root: Path
    skipped: Callable[[str], bool] = lambda _: False
    links: FollowLinks = "none"
    reported: set[str] = field(default_factory=set)

    @property
    def descent(self) -> Descent:
        """Opens what is in the folder."""
        return Descent(self.root, anywhere=self.links == "anywhere")

    def keys(self, prefix: str = "", after: str = "") -> Iterator[str]:
        """Yield the keys that begin with ``prefix`` and come after ``after``. Holds the names of one folder."""
        yield from self._keys("", prefix.encode(), after.encode(), ())

    def folders(self, folder: str = "") -> Iterator[str]:
        """Yield the keys of a folder and of those in it that are listed, each with a slash; the root is empty."""
        yield from self._folders("", folder, ())

    def skips(self, key: str) -> bool:
        """Whether a file or folder is hidden or left out. The key of a folder ends with a slash."""
        return hidden(key) or self.skipped(key)

    def _keys(self, folder: str, prefix: bytes, after: bytes, above: _Ids) -> Iterator[str]:
        found, above = self._entries(folder, above)
        for key in sorted(name.encode() for name in found):  # a folder sorts by its slash, as its keys do
            if not key.endswith(b"/"):
                if key.startswith(prefix) and key > after:
                    yield key.decode()
            elif (key.startswith(prefix) or prefix.startswith(key)) and (key > after or after.startswith(key)):
                yield from self._keys(key.decode(), prefix, after, above)

    def _folders(self, folder: str, within: str, above: _Ids) -> Iterator[str]:
        if folder.startswith(within):
            yield folder
        found, above = self._entries(folder, above)
        for key in found:
            if key.endswith("/") and (key.startswith(within) or within.startswith(key)):
                yield from self._folders(key, within, above)

    def _entries(self, folder: str, above: _Ids) -> tuple[list[str], _Ids]:
        """The keys in a folder, those of folders with a slash; and the identities of it and of those above."""
        name = name_of(folder).rstrip("/") if folder else ""
        try:
            with self.descent.opened(name, os.O_RDONLY | os.O_DIRECTORY) as opened:
                if self.links != "none":
                    status = os.fstat(opened)
                    above = (*above, (status.st_dev, status.st_ino))
                with os.scandir(opened) as entries:
                    found = list(entries)
                for entry in found:
                    if unfinished(entry.name):
                        remove_abandoned(opened, entry.name)
                return [key for entry in found if (key := self._key(folder, entry, above))], above
        except (OSError, ObjectForbidden) as exc:  # removed, made inaccessible or replaced by a link meanwhile
            if passes(exc):  # its files are not gone, so they must not seem to be
                raise StoreAway(f"the folder {self.root / name} cannot be listed: {exc}") from exc
            return [], above

    def _key(self, folder: str, entry: os.DirEntry[str], above: _Ids) -> str | None:
        key = f"{folder}{key_text(entry.name)}"
        is_folder = entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and _leads_to_folder(entry))
        if is_folder:
            key += "/"
        if hidden(entry.name) or self.skipped(key):
            return None
        if is_folder and entry.is_symlink() and not self._follows(key, entry, above):
            return None
        return key

    def _follows(self, key: str, entry: os.DirEntry[str], above: _Ids) -> bool:
        """Whether a link to a folder is followed. Logs once for each link that is not."""
        target = os.path.realpath(self.root / name_of(key.rstrip("/")))
        if self.links == "none":
            self._tell("link to a folder not followed", key, target, "set WILDTAG_FOLLOW_LINKS to follow it")
            return False
        if self.links == "inside" and not Path(target).is_relative_to(self.root.resolve()):
            self._tell(
                "a link that leads outside of the inbox is not followed", key, target,
                "set WILDTAG_FOLLOW_LINKS=anywhere to follow it",
            )  # fmt: skip
            return False
        status = entry.stat()
        if (status.st_dev, status.st_ino) in above:
            self._tell("link to a folder that contains it not followed", key, target, "it would never end")
            return False
        return True

    def _tell(self, what: str, key: str, target: str, then: str) -> None:
        if key in self.reported or len(self.reported) > TOLD:
            return
        self.reported.add(key)
        if len(self.reported) > TOLD:
            log.warning("more links to folders not followed", after=TOLD)
        else:
            log.warning(what, link=key.removesuffix("/"), target=key_text(target), then=then)


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as exc:  # a loop of links, or no permission
        if passes(exc):
            raise
        return False
