"""Notifications of the file system about a folder and the folders in it, through inotify.

Names are taken as bytes, so a name that is not UTF-8 is one like any other. Folders that are not listed (hidden ones,
those of side files, links that are not followed) are not watched.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from inotify_simple import INotify, flags  # type: ignore[import-untyped]  # it has no types

from workers.stores.folder_names import key_text, name_of
from workers.stores.folder_walk import Walk
from workers.stores.store import ObjectForbidden, StoreAway

log = structlog.get_logger()

COLLECT_MS = 50  # after the first notification: others of the same file follow
CAME = flags.CREATE | flags.MOVED_TO
WENT = flags.DELETE | flags.MOVED_FROM
MASK = CAME | WENT | flags.MODIFY | flags.CLOSE_WRITE | flags.ATTRIB | flags.ONLYDIR
SETTING = "fs.inotify.max_user_watches"


@dataclass
class Notified:
    """``touched``: keys of files that came, changed or went. ``incomplete``: more may have changed; compare all."""

    touched: dict[str, None] = field(default_factory=dict)
    incomplete: bool = False


class FolderNotifications:
    """The notifications of one folder. Raises ``OSError`` where the system has no inotify."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._inotify = INotify(nonblocking=True)
        self._keys: dict[int, set[str]] = {}  # watch → keys of the folder: several where links lead to it
        self._full = False
        self._add_all()

    def close(self) -> None:
        """End all watches."""
        self._inotify.close()

    def read(self, timeout_ms: int) -> Notified:
        """Wait for notifications. Raises ``StoreAway`` when the file system of the folder was unmounted."""
        found = Notified()
        for watch, mask, _, name in self._inotify.read(timeout_ms, COLLECT_MS):
            if mask & flags.Q_OVERFLOW:
                log.warning("notifications lost", reason="too many at once", then="the folder is compared")
                self._add_all()
                found.incomplete = True
            elif mask & flags.UNMOUNT:
                raise StoreAway(f"the file system of {self._walk.root} was unmounted")
            elif mask & flags.IGNORED:
                self._keys.pop(watch, None)
            elif name:
                for folder in tuple(self._keys.get(watch, ())):
                    self._one(f"{folder}{key_text(name)}", mask, found)
        return found

    def _one(self, key: str, mask: int, found: Notified) -> None:
        if mask & WENT and mask & flags.ISDIR:
            self._remove(f"{key}/")
            found.incomplete = True  # its files produce no notifications of their own
        elif mask & CAME and self._leads_to_folder(key):
            if mask & flags.ISDIR:
                self._enter(f"{key}/", found)
            else:  # a link: the walk knows whether it is followed, and says so
                self._add_all()
                found.incomplete = True
        elif mask & flags.ISDIR:  # it may have been made accessible
            self._enter(f"{key}/", Notified())
            found.incomplete = True
        elif not self._walk.skips(key):
            found.touched[key] = None
            found.incomplete |= bool(mask & WENT)  # it may have been a link to a folder

    def _leads_to_folder(self, key: str) -> bool:
        return os.path.isdir(self._walk.root / name_of(key))  # noqa: PTH112 -- never raises

    def _enter(self, folder: str, found: Notified) -> None:
        """Watch a folder that has come, and report the files that came with it or before it was watched."""
        if self._walk.skips(folder):
            return
        for inner in self._walk.folders(folder):
            self._add(inner)
        for key in self._walk.keys(folder):
            found.touched[key] = None

    def _add_all(self) -> None:
        for folder in self._walk.folders():
            self._add(folder)

    def _add(self, folder: str) -> None:
        try:
            with self._walk.descent.opened(name_of(folder).rstrip("/") if folder else "") as opened:
                watch = self._inotify.add_watch(f"/proc/self/fd/{opened}", MASK)  # whatever is at its path by now
        except ObjectForbidden:
            return  # replaced by a link meanwhile
        except OSError as exc:
            if exc.errno == errno.ENOSPC and not self._full:
                self._full = True
                log.warning(
                    "too many folders to watch", folder=str(self._walk.root / folder),
                    then=f"changes in the others are found when the folder is compared; raise {SETTING}",
                )  # fmt: skip
            if not folder:
                raise
            return  # removed or made inaccessible meanwhile
        self._keys.setdefault(watch, set()).add(folder)

    def _remove(self, folder: str) -> None:
        for watch, keys in list(self._keys.items()):
            keys -= {key for key in keys if key.startswith(folder)}
            if not keys:
                del self._keys[watch]
                with contextlib.suppress(OSError):  # it is gone with the folder
                    self._inotify.rm_watch(watch)


@contextlib.contextmanager
def notifications(walk: Walk) -> Iterator[FolderNotifications | None]:
    """The notifications of a folder; ``None`` where the system has none, or none for this folder."""
    try:
        opened = FolderNotifications(walk)
    except (OSError, AttributeError) as exc:  # AttributeError: a C library without inotify
        if not Path(walk.root).is_dir():
            raise StoreAway(f"the folder {walk.root} does not exist") from exc
        log.warning("folder not watched", reason=str(exc), then="changes are found when the folder is compared")
        yield None
        return
    with contextlib.closing(opened):
        yield opened
