"""A folder as bucket: the embedded object store.

Hidden files, files in hidden folders and well-known side files are not objects. Devices and pipes are never opened,
and links that lead outside of the folder only where ``links`` allows it. Uploads and output may be stored in another
folder, so that a folder that cannot be written to can be a bucket.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import os
import stat as modes
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from tasks.message_parts import ObjectRef, UserMetadata
from vectordb.resources import passes
from workers.stores.folder_descent import Descent
from workers.stores.folder_files import READ, read_opened, reading, replace_file, writing
from workers.stores.folder_metadata import FolderMetadata
from workers.stores.folder_mount import FolderMount, identity_of
from workers.stores.folder_names import hidden, name_of
from workers.stores.folder_output import output_keys
from workers.stores.folder_versions import etag_of
from workers.stores.folder_walk import FollowLinks, Walk
from workers.stores.key_patterns import SIDE, KeyPatterns
from workers.stores.store import (
    ObjectError,
    ObjectForbidden,
    ObjectGone,
    ObjectInfo,
    ObjectUnwanted,
    StoreAway,
    Wanted,
    anything,
)

SKEW_S = 5.0  # by which the clock of a file server may be ahead


class FolderStore:
    """Maps bucket names to folders. See ``workers.stores.folder_versions`` for the ETags."""

    def __init__(
        self,
        folders: Mapping[str, Path],
        output: str = ".wildtag/",
        *,
        uploads: str = "uploads/",
        elsewhere: Path | None = None,
        ignored: KeyPatterns | None = None,
        links: FollowLinks = "none",
    ) -> None:
        """``output``: a prefix whose keys are not listed as objects but may be written and removed.

        ``elsewhere``: the folder to which keys that begin with ``output`` or ``uploads`` are written. They are looked
        up there first. ``ignored``: files not to list, except uploads; default: ``SIDE``. They are not objects,
        but ``stat`` finds them: what an earlier version has tagged is not gone.
        """
        self._output = output
        self._own = (output, uploads)
        self._uploads = uploads
        self._elsewhere = elsewhere and elsewhere.absolute()
        self._roots = {bucket: folder.absolute() for bucket, folder in folders.items()}
        self._patterns = SIDE if ignored is None else ignored
        self._links = links
        self._reported: set[str] = set()
        self._metadata = FolderMetadata(output, self._descent, self._written)

    def ignored(self, key: str) -> bool:
        """Whether a file is not an object: hidden, in a hidden folder, or a side file."""
        return hidden(key) or self._is_side_file(key)

    def walk(self, bucket: str) -> Walk:
        """The folder of a bucket, without the uploads that are elsewhere. Raises ``StoreAway``."""
        return Walk(self._root(bucket), self._is_side_file, self._links, self._reported)

    def mount(self, bucket: str) -> FolderMount:
        """The folder that is at the path of a bucket now, without the uploads elsewhere. Raises ``StoreAway``."""
        walk = self.walk(bucket)
        try:
            return FolderMount(walk.root, identity_of(walk.root), lambda: next(walk.keys(), None) is None)
        except OSError as exc:
            raise StoreAway(f"the folder {walk.root} cannot be looked at: {exc.strerror}") from exc

    def get(self, bucket: str, key: str, limit: int, wanted: Wanted = anything) -> tuple[bytes, ObjectInfo]:
        """See ``ObjectStore``. The version is that of the returned bytes, even if the file changes meanwhile."""

        def look(status: os.stat_result) -> None:
            met = self._info(bucket, key, status)
            if not wanted(met):
                raise ObjectUnwanted(met)

        try:
            with reading(), self._descent(bucket, key).opened(name_of(key), READ) as opened:
                data, status = read_opened(opened, limit, look)
        except ObjectGone as exc:
            self._root(bucket)
            if self._descent(bucket, key).exists(name_of(key)):  # a link exists, and ``stat`` says so
                raise ObjectError("the file is a broken link") from exc
            raise
        return data, self._metadata.added(self._info(bucket, key, status))

    def stat(self, bucket: str, key: str) -> ObjectInfo | None:
        """See ``ObjectStore``; anything but a regular file is an unreadable object."""
        return (info := self._stat(bucket, key)) and self._metadata.added(info)

    def _stat(self, bucket: str, key: str) -> ObjectInfo | None:
        if hidden(key):
            return None
        self._root(bucket)
        try:
            with self._descent(bucket, key).opened(name_of(key)) as opened:
                status = os.fstat(opened)
                readable = os.access(f"/proc/self/fd/{opened}", os.R_OK, effective_ids=True)
        except (ObjectForbidden, OSError) as exc:
            if passes(exc):
                raise StoreAway(f"the file {key} cannot be looked at: {exc}") from exc
            return self._link_info(bucket, key)
        return None if modes.S_ISDIR(status.st_mode) else self._info(bucket, key, status, readable=readable)

    def list(self, bucket: str, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        """See ``ObjectStore``. Holds the names of one folder at a time.

        Output is listed only if ``prefix`` begins with that of the output.
        """
        if prefix.startswith(self._output):
            yield from self._listed_output(bucket, prefix, after)
            return
        for key in self._keys(bucket, prefix, after):
            with contextlib.suppress(ObjectForbidden):  # permission to the folder was removed meanwhile
                info = self._stat(bucket, key)
                if info is not None:
                    yield info

    def put(
        self,
        bucket: str,
        key: str,
        data: BinaryIO,
        content_type: str | None = None,  # noqa: ARG002 -- not stored
        user_metadata: UserMetadata | None = None,
    ) -> ObjectInfo:
        """See ``ObjectStore``. Writes to a hidden file next to the target, then renames it."""
        if self.ignored(key) and not key.startswith(self._output):
            raise ObjectForbidden("names of hidden files, side files and unfinished downloads are not allowed")

        def placed(status: os.stat_result) -> None:
            self._metadata.put(bucket, key, etag_of(status), user_metadata)

        with contextlib.ExitStack() as stack:
            with writing():
                parent = self._descent(bucket, key, self._written(bucket, key)).parent(name_of(key), make=True)
                folder, name = stack.enter_context(parent)
            status = replace_file(folder, name, data, placed)
        return self._metadata.added(self._info(bucket, key, status))

    def remove(self, bucket: str, key: str) -> None:
        """See ``ObjectStore``. Of a link, the link is removed."""
        gone, parent = contextlib.suppress(FileNotFoundError), self._descent(bucket, key).parent(name_of(key))
        with writing():
            with gone, parent as (folder, name):
                os.unlink(name, dir_fd=folder)
            self._metadata.remove(bucket, key)

    def _folder(self, bucket: str) -> Path:
        root = self._roots.get(bucket)
        if root is None:
            raise ObjectError(f"no folder is configured for the bucket {bucket!r}")
        return root

    def _root(self, bucket: str) -> Path:
        root = self._folder(bucket)
        if not root.is_dir():
            raise StoreAway(f"the folder {root} does not exist")
        return root

    def _is_side_file(self, key: str) -> bool:
        return (SIDE if key.startswith(self._uploads) else self._patterns).match(key)

    def _keys(self, bucket: str, prefix: str, after: str) -> Iterator[str]:
        inbox = self.walk(bucket).keys(prefix, after)
        if self._elsewhere is None or not self._elsewhere.is_dir():
            return inbox
        uploads = Walk(self._elsewhere, self._is_side_file).keys(max(prefix, self._uploads, key=len), after)
        if not (prefix.startswith(self._uploads) or self._uploads.startswith(prefix)):
            return inbox
        own = (key for key in uploads if key.startswith(self._uploads))
        return _unique(heapq.merge(inbox, own, key=str.encode))

    def _listed_output(self, bucket: str, prefix: str, after: str) -> Iterator[ObjectInfo]:
        roots = dict.fromkeys([self._written(bucket, prefix), self._root(bucket)])
        for key in output_keys(roots, self._output, prefix):
            if key.encode() > after.encode() and (info := self._output_info(bucket, key)) is not None:
                yield info

    def _output_info(self, bucket: str, key: str) -> ObjectInfo | None:
        """``None`` for what was removed or replaced meanwhile, and for a link that cannot be followed."""
        try:
            with self._descent(bucket, key).opened(name_of(key)) as opened:
                return self._info(bucket, key, os.fstat(opened))
        except (FileNotFoundError, NotADirectoryError, ObjectForbidden):
            return None
        except OSError as exc:
            if exc.errno in {errno.ELOOP, errno.ENAMETOOLONG}:  # it leads to itself, or to a name that cannot be
                return None
            raise StoreAway(f"the file {key} cannot be looked at: {exc.strerror}") from exc

    def _written(self, bucket: str, key: str) -> Path:
        """The folder to which a key is written."""
        return self._elsewhere if self._elsewhere and key.startswith(self._own) else self._folder(bucket)

    def _base(self, bucket: str, key: str) -> Path:
        """The folder in which a key is looked up."""
        base = self._written(bucket, key)
        if base == self._elsewhere and not self._descent(bucket, key, base).exists(name_of(key)):
            return self._folder(bucket)
        return base

    def _descent(self, bucket: str, key: str, base: Path | None = None) -> Descent:
        """Opens what is in the folder of a key, and nothing outside of it unless links may lead anywhere."""
        return Descent(base or self._base(bucket, key), anywhere=self._links == "anywhere")

    def _link_info(self, bucket: str, key: str) -> ObjectInfo | None:
        """The info of a link that cannot be followed, because it is broken or leads outside: it gets a record too.

        Raises ``ObjectForbidden`` without permission to look, which does not mean that the file is gone.
        """
        try:
            status = self._descent(bucket, key).lstat(name_of(key))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as exc:
            if exc.errno == errno.ENAMETOOLONG:
                return None
            if passes(exc):
                raise StoreAway(f"the file {key} cannot be looked at: {exc}") from exc
            raise ObjectForbidden(f"no permission to access it: {exc.strerror}") from exc
        return None if modes.S_ISDIR(status.st_mode) else self._info(bucket, key, status, readable=False)

    def _info(self, bucket: str, key: str, status: os.stat_result, *, readable: bool = True) -> ObjectInfo:
        ref = ObjectRef(bucket, key, etag_of(status, readable=readable), status.st_size)
        # uploads are stored whole
        changed = None if key.startswith(self._own) else _changed(status)
        return ObjectInfo(ref, f"{max(0, status.st_mtime_ns):032x}", modified=status.st_mtime, changed=changed)


def _changed(status: os.stat_result) -> float:
    """When a file changed last. A time in the future was set by a program, and tells nothing."""
    latest = time.time() + SKEW_S
    return max((at for at in (status.st_mtime, status.st_ctime) if at <= latest), default=0.0)


def _unique(keys: Iterator[str]) -> Iterator[str]:
    """Sorted keys without repetition."""
    before = ""
    for key in keys:
        if key != before:
            yield key
        before = key
