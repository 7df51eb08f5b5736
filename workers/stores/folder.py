r"""A folder as bucket: the embedded object store.

Keys are relative POSIX paths. A byte of a name that is not valid UTF-8 becomes ``\xNN`` in its key, and a backslash
that could be read as the start of such an escape becomes ``\x5c``, so that no two files share a key. Hidden files,
files in hidden folders and unfinished downloads are not objects. Links that lead outside the folder, devices and
pipes are never opened.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat as modes
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from tasks.messages import ObjectRef
from workers.stores.store import (
    ObjectError,
    ObjectForbidden,
    ObjectGone,
    ObjectInfo,
    ObjectTooLarge,
    ObjectUnwanted,
    StoreAway,
    Wanted,
    anything,
)

CHUNK = 2**16  # bytes per write
UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".tmp", "~")


class FolderStore:
    """Maps bucket names to folders. The ETag is made of the file's modification time, size and inode."""

    def __init__(self, folders: Mapping[str, Path], output: str = ".wildtag/") -> None:
        """``output``: a prefix whose keys are not listed as objects but may be written and removed."""
        self._output = output
        self._roots = {bucket: folder.absolute() for bucket, folder in folders.items()}

    def get(self, bucket: str, key: str, limit: int, wanted: Wanted = anything) -> tuple[bytes, ObjectInfo]:
        """See ``ObjectStore``. The version is that of the returned bytes, even if the file changes meanwhile."""

        def look(status: os.stat_result) -> None:
            met = self._info(bucket, key, status)
            if not wanted(met):
                raise ObjectUnwanted(met)

        try:
            data, status = read_file(self._path(bucket, key), limit, look)
        except ObjectGone as exc:
            if (self._root(bucket) / _name_of(key)).is_symlink():  # the link exists, and ``stat`` says so
                raise ObjectError("the file is a broken link") from exc
            raise
        return data, self._info(bucket, key, status)

    def stat(self, bucket: str, key: str) -> ObjectInfo | None:
        """See ``ObjectStore``; anything but a regular file is an unreadable object."""
        if ignored(key):
            return None
        root = self._root(bucket)
        try:
            path = self._path(bucket, key)
            status = path.stat()
        except (ObjectForbidden, OSError):
            return self._link_info(bucket, root, key)
        if modes.S_ISDIR(status.st_mode):
            return None
        return self._info(bucket, key, status, readable=os.access(path, os.R_OK, effective_ids=True))

    def list(self, bucket: str, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        """See ``ObjectStore``. Does not follow links to folders. Holds the names of one folder at a time."""
        root = self._root(bucket)
        for key in _keys(root, "", prefix.encode(), after.encode()):
            with contextlib.suppress(ObjectForbidden):  # permission to the folder was removed meanwhile
                info = self.stat(bucket, key)
                if info is not None:
                    yield info

    def put(
        self,
        bucket: str,
        key: str,
        data: BinaryIO,
        content_type: str | None = None,  # noqa: ARG002 -- not stored
    ) -> ObjectInfo:
        """See ``ObjectStore``. Writes to a hidden file next to the target, then renames it."""
        if ignored(key) and not key.startswith(self._output):
            raise ObjectForbidden("hidden names and names of unfinished downloads are not allowed")
        path = self._path(bucket, key)
        with _taking():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=".put-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                while piece := data.read(CHUNK):  # errors of the reader are raised unchanged
                    with _taking():
                        file.write(piece)
                with _taking():
                    file.flush()
                    os.fsync(file.fileno())
            with _taking():
                Path(temporary).chmod(0o644)
                Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return self._info(bucket, key, path.stat())

    def remove(self, bucket: str, key: str) -> None:
        """See ``ObjectStore``."""
        path = self._path(bucket, key)
        with _taking():
            path.unlink(missing_ok=True)

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

    def _path(self, bucket: str, key: str) -> Path:
        root = self._folder(bucket)
        path = root / _name_of(key)
        try:
            inside = path.resolve().is_relative_to(root.resolve())
        except (RuntimeError, OSError) as exc:  # RuntimeError: a loop of links, until Python 3.12
            raise ObjectForbidden(f"the path cannot be resolved: {exc}") from exc
        if not inside:
            raise ObjectForbidden("the file is a link that leads outside the folder")
        return path

    def _link_info(self, bucket: str, root: Path, key: str) -> ObjectInfo | None:
        """The info of a link that cannot be followed, because it is broken or leads outside: it gets a record too.

        Raises ``ObjectForbidden`` without permission to look, which does not mean that the file is gone.
        """
        try:
            status = (root / _name_of(key)).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as exc:
            if exc.errno == errno.ENAMETOOLONG:
                return None
            raise ObjectForbidden(f"no permission to access it: {exc.strerror}") from exc
        return None if modes.S_ISDIR(status.st_mode) else self._info(bucket, key, status, readable=False)

    @staticmethod
    def _info(bucket: str, key: str, status: os.stat_result, *, readable: bool = True) -> ObjectInfo:
        # becoming readable is a change: it must be tried again
        etag = f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}{'' if readable else '-unreadable'}"
        ref = ObjectRef(bucket, key, etag, status.st_size)
        return ObjectInfo(ref, f"{status.st_mtime_ns:032x}", modified=status.st_mtime)


@contextlib.contextmanager
def _taking() -> Iterator[None]:
    """Translates write errors such as a full disk or missing permission; an operator can fix these."""
    try:
        yield
    except OSError as exc:
        raise StoreAway(f"the folder cannot be written to: {exc.strerror or exc}") from exc


def read_file(
    path: Path, limit: int, look: Callable[[os.stat_result], None] = lambda _: None
) -> tuple[bytes, os.stat_result]:
    """Read a regular file and its status at that time. Raises ``ObjectError``; never blocks.

    ``look`` receives the status before anything is read, and may raise.
    """
    try:
        # O_NONBLOCK: opening a pipe must not wait for its writer
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not modes.S_ISREG(status.st_mode):
                raise ObjectError("not a regular file")
            look(status)
            if status.st_size > limit:
                raise ObjectTooLarge(f"{status.st_size:,} bytes; the limit is {limit:,}")
            data = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise ObjectGone("the file does not exist") from exc
    except PermissionError as exc:
        raise ObjectForbidden("no permission to read the file") from exc
    except OSError as exc:
        raise ObjectError(f"the file cannot be read: {exc.strerror}") from exc
    if len(data) > limit:
        raise ObjectTooLarge(f"more than {limit:,} bytes")
    return data, status


def _keys(root: Path, folder: str, prefix: bytes, after: bytes) -> Iterator[str]:
    """Yield the keys of the files in a folder (empty, or a key and a slash) in byte order."""
    try:
        with os.scandir(root / _name_of(folder) if folder else root) as entries:
            found = [
                (f"{folder}{key_text(entry.name)}{'/' if entry.is_dir(follow_symlinks=False) else ''}".encode())
                for entry in entries
                if not entry.name.startswith(".")
            ]
    except OSError:  # removed or made inaccessible meanwhile
        return
    for key in sorted(found):  # a folder sorts by its slash, as its keys do
        if not key.endswith(b"/"):
            if key.startswith(prefix) and key > after:
                yield key.decode()
        elif (key.startswith(prefix) or prefix.startswith(key)) and (key > after or after.startswith(key)):
            yield from _keys(root, key.decode(), prefix, after)


def ignored(key: str) -> bool:
    """Whether a file is not an object: hidden, in a hidden folder, or unfinished."""
    parts = key.split("/")
    return any(part.startswith(".") for part in parts) or parts[-1].lower().endswith(UNFINISHED)


def key_of(root: Path, path: str) -> str:
    """The key of a file under a root folder."""
    return key_text(os.path.relpath(path, root))


def key_text(name: str) -> str:
    """The key of a file name, as valid UTF-8 text."""
    raw = re.sub(rb"\\(?=x(?:5c|[89a-f][0-9a-f]))", rb"\\x5c", os.fsencode(name))
    return raw.decode("utf-8", "backslashreplace")


def _name_of(key: str) -> str:
    """The file name of a key, the inverse of ``key_text``. Raises ``ObjectForbidden`` for keys that lead outside."""
    if not key or "\0" in key or key.startswith("/") or ".." in key.split("/"):
        raise ObjectForbidden("the key leads outside the bucket")
    raw = re.sub(rb"\\x(5c|[89a-f][0-9a-f])", lambda match: bytes([int(match[1], 16)]), os.fsencode(key))
    return os.fsdecode(raw)
