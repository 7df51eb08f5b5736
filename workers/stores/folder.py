"""A folder as bucket: the embedded object store.

Keys are relative POSIX paths. A file name that is not UTF-8 becomes a key with ``\\xNN`` in it. Hidden files,
files under hidden folders and unfinished downloads are not objects. Links that lead outside the folder, devices
and pipes are never opened.
"""

from __future__ import annotations

import os
import re
import shutil
import stat as modes
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from tasks.messages import ObjectRef
from workers.stores.store import (
    ObjectError,
    ObjectForbidden,
    ObjectGone,
    ObjectInfo,
    ObjectTooLarge,
    StoreAway,
)

UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".tmp", "~")


class FolderStore:
    """Maps bucket names to folders. The etag is the file's time of change, size and inode."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._roots = {bucket: folder.absolute() for bucket, folder in folders.items()}

    def get(self, bucket: str, key: str, limit: int) -> tuple[bytes, ObjectInfo]:
        """See ``ObjectStore``. The version is that of the bytes, even if the file changes meanwhile."""
        try:
            data, status = read_file(self._path(bucket, key), limit)
        except ObjectGone:
            self._root(bucket)
            raise
        return data, self._info(bucket, key, status)

    def stat(self, bucket: str, key: str) -> ObjectInfo | None:
        """See ``ObjectStore``; whatever is not a regular file counts as an object that cannot be read."""
        if ignored(key):
            return None
        try:
            path = self._path(bucket, key)
            status = path.stat()
        except (ObjectForbidden, PermissionError):
            return self._link_info(bucket, key)
        except OSError:
            self._root(bucket)
            return self._link_info(bucket, key)
        return None if modes.S_ISDIR(status.st_mode) else self._info(bucket, key, status)

    def list(self, bucket: str) -> Iterator[ObjectInfo]:
        """See ``ObjectStore``. Links to folders are not followed."""
        root = self._root(bucket)
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                info = self.stat(bucket, key_of(root, f"{folder}/{name}"))
                if info is not None:
                    yield info

    def put(self, bucket: str, key: str, data: BinaryIO) -> ObjectInfo:
        """See ``ObjectStore``: written beside its place under a hidden name, then renamed."""
        if ignored(key):
            raise ObjectForbidden("hidden and unfinished names are not objects")
        path = self._path(bucket, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".put-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                shutil.copyfileobj(data, file)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return self._info(bucket, key, path.stat())

    def remove(self, bucket: str, key: str) -> None:
        """See ``ObjectStore``."""
        self._path(bucket, key).unlink(missing_ok=True)

    def _root(self, bucket: str) -> Path:
        root = self._roots.get(bucket)
        if root is None:
            raise ObjectError(f"no folder belongs to the bucket {bucket!r}")
        if not root.is_dir():
            raise StoreAway(f"the folder {root} is not there")
        return root

    def _path(self, bucket: str, key: str) -> Path:
        root = self._roots.get(bucket)
        if root is None:
            raise ObjectError(f"no folder belongs to the bucket {bucket!r}")
        if not key or "\0" in key or key.startswith("/") or ".." in key.split("/"):
            raise ObjectForbidden("the key leads outside the bucket")
        path = root / key
        if "\\x" in key and not os.path.lexists(path):
            path = root / _undecodable(key)
        if not path.resolve().is_relative_to(root.resolve()):
            raise ObjectForbidden("the file is a link that leads outside the folder")
        return path

    def _link_info(self, bucket: str, key: str) -> ObjectInfo | None:
        """A file that cannot be followed (a broken or forbidden link) is an object too: it gets its record."""
        try:
            status = (self._roots[bucket] / key).lstat()
        except (OSError, ValueError, KeyError):
            return None
        return None if modes.S_ISDIR(status.st_mode) else self._info(bucket, key, status)

    @staticmethod
    def _info(bucket: str, key: str, status: os.stat_result) -> ObjectInfo:
        etag = f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"
        return ObjectInfo(ObjectRef(bucket, key, etag, status.st_size), f"{status.st_mtime_ns:032x}")


def read_file(path: Path, limit: int) -> tuple[bytes, os.stat_result]:
    """A regular file's bytes and its status while they were read. Raises ``ObjectError``; never waits."""
    try:
        # O_NONBLOCK: opening a pipe must not wait for its writer
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not modes.S_ISREG(status.st_mode):
                raise ObjectError("not a regular file")
            if status.st_size > limit:
                raise ObjectTooLarge(f"{status.st_size:,} bytes; the limit is {limit:,}")
            data = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise ObjectGone("the file is gone") from exc
    except PermissionError as exc:
        raise ObjectForbidden("no permission to read the file") from exc
    except OSError as exc:
        raise ObjectError(f"the file cannot be read: {exc.strerror}") from exc
    if len(data) > limit:
        raise ObjectTooLarge(f"more than {limit:,} bytes")
    return data, status


def ignored(key: str) -> bool:
    """Whether a file of this key is no object: hidden, under a hidden folder, or unfinished."""
    parts = key.split("/")
    return any(part.startswith(".") for part in parts) or parts[-1].lower().endswith(UNFINISHED)


def key_of(root: Path, path: str) -> str:
    """The key of a file under a root folder."""
    relative = os.path.relpath(path, root)
    return os.fsencode(relative).decode("utf-8", "backslashreplace")


def _undecodable(key: str) -> str:
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), key.encode())
    return os.fsdecode(raw)
