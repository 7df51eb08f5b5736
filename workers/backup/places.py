"""Where backups are: a folder, or a prefix of a bucket. Files are small enough to be read and written as a whole."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from vectordb.errors import Transient
from vectordb.synced import sync_folder
from workers.backup.form import FILE_MAX, BackupError
from workers.stores.store import ObjectGone, ObjectStore

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
SCHEME = "s3://"
DRAFT = ".part"  # ends the name of a file that is being written; it begins with a dot


class PlaceAway(Transient):
    """The folder or the server of a backup does not answer."""


class Place(Protocol):
    """Files by name, such as ``BACKUP/manifest.json``. Raises ``Transient``, ``BackupError``."""

    @property
    def name(self) -> str:
        """As the user names it."""

    def write(self, name: str, data: bytes) -> str:
        """Store a file, so that it is there as a whole and survives a power failure, or not at all.

        Returns a stamp that ``unchanged`` compares: the ETag in a bucket. Empty where the content is read instead.
        """

    def unchanged(self, name: str, size: int, sha256: str, stamp: str) -> bool:
        """Whether a file is there with the content that was written."""

    def read(self, name: str) -> bytes | None:
        """The content of a file; ``None`` if there is none."""

    def names(self, begin: str = "") -> Iterator[str]:
        """The names of all files that begin with this text, sorted."""

    def remove(self, name: str) -> None:
        """Remove a file, and a folder that is empty then; does nothing if there is none."""


class FolderPlace:
    """A folder that only its owner can read. It is created when the first file is written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def name(self) -> str:
        """See ``Place``."""
        return str(self._folder)

    def write(self, name: str, data: bytes) -> str:
        """See ``Place``."""
        file = self._folder / name
        draft = file.with_name(f".{file.name}{DRAFT}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.parent.mkdir(exist_ok=True, mode=0o700)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            draft.replace(file)
            sync_folder(file.parent)
        except OSError as exc:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise self._fault("write", file, exc) from exc
        return ""

    def unchanged(self, name: str, size: int, sha256: str, stamp: str) -> bool:  # noqa: ARG002 -- the Protocol's
        """See ``Place``."""
        return _same(self.read(name), size, sha256)

    def read(self, name: str) -> bytes | None:
        """See ``Place``."""
        file = self._folder / name
        try:
            if file.stat().st_size > FILE_MAX:
                raise BackupError(f"{file} is larger than any file of a backup")
            return file.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as exc:
            raise self._fault("read", file, exc) from exc

    def names(self, begin: str = "") -> Iterator[str]:
        """See ``Place``."""
        try:
            found = [
                (Path(above) / file).relative_to(self._folder).as_posix()
                for above, _, files in os.walk(self._folder / begin if begin.endswith("/") else self._folder)
                for file in files
            ]
        except OSError as exc:
            raise self._fault("list", self._folder, exc) from exc
        yield from sorted(name for name in found if name.startswith(begin))

    def remove(self, name: str) -> None:
        """See ``Place``."""
        file = self._folder / name
        try:
            file.unlink(missing_ok=True)
        except OSError as exc:
            raise self._fault("remove", file, exc) from exc
        if file.parent != self._folder:
            with contextlib.suppress(OSError):  # not empty
                file.parent.rmdir()

    def _fault(self, what: str, file: Path, exc: OSError) -> Exception:
        if exc.errno in FULL:
            return BackupError(
                f"the disk of {self._folder} is full ({exc.strerror}): free some space, or name another place."
                " Earlier backups are intact"
            )
        if exc.errno in (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENOTCONN):
            return PlaceAway(f"cannot {what} {file}: {exc.strerror}")
        return BackupError(f"cannot {what} {file}: {exc.strerror}")


class BucketPlace:
    """Objects of a bucket below a prefix. Raises the errors of the store, too."""

    def __init__(self, store: ObjectStore, bucket: str, prefix: str) -> None:
        self._store = store
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    @property
    def name(self) -> str:
        """See ``Place``."""
        return f"{SCHEME}{self._bucket}/{self._prefix}".rstrip("/")

    def write(self, name: str, data: bytes) -> str:
        """See ``Place``."""
        return self._store.put(self._bucket, self._prefix + name, io.BytesIO(data)).ref.etag

    def unchanged(self, name: str, size: int, sha256: str, stamp: str) -> bool:
        """See ``Place``. Reads nothing where the server gave an ETag: another content has another one."""
        if not stamp:
            return _same(self.read(name), size, sha256)
        found = self._store.stat(self._bucket, self._prefix + name)
        return found is not None and (found.ref.etag, found.ref.size) == (stamp, size)

    def read(self, name: str) -> bytes | None:
        """See ``Place``."""
        try:
            return self._store.get(self._bucket, self._prefix + name, FILE_MAX)[0]
        except ObjectGone:
            return None

    def names(self, begin: str = "") -> Iterator[str]:
        """See ``Place``."""
        for info in self._store.list(self._bucket, self._prefix + begin):
            yield info.ref.key.removeprefix(self._prefix)

    def remove(self, name: str) -> None:
        """See ``Place``."""
        self._store.remove(self._bucket, self._prefix + name)


def _same(data: bytes | None, size: int, sha256: str) -> bool:
    return data is not None and len(data) == size and hashlib.sha256(data).hexdigest() == sha256


def is_draft(name: str) -> bool:
    """Whether this is the name of a file whose writer was killed, or is still writing."""
    file = name.rpartition("/")[2]
    return file.startswith(".") and file.endswith(DRAFT)


def bucket_and_prefix(place: str) -> tuple[str, str]:
    """The parts of ``s3://BUCKET/PREFIX``. Raises ``BackupError``."""
    bucket, _, prefix = place.removeprefix(SCHEME).partition("/")
    if not bucket:
        raise BackupError(f"{place!r} names no bucket: write s3://BUCKET/PREFIX")
    return bucket, prefix
