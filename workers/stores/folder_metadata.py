"""User metadata of a folder's objects, each in a JSON file below the output prefix, where nothing is tagged.

The file of ``uploads/a.jpg`` is ``.wildtag/.metadata/uploads/a.jpg.json``. It belongs to one version of the object,
which it names by its ETag: a file that was overwritten by hand has no metadata.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import structlog

from tasks.message_parts import UserMetadata
from vectordb.decoders import from_json
from workers.stores.folder_versions import same_version
from workers.stores.store import ObjectError, ObjectInfo

log = structlog.get_logger()

FOLDER = ".metadata/"  # hidden, so that no object has a sidecar here
LONGEST = 240  # bytes of a name, which gets a suffix of five


class _Stored(msgspec.Struct, omit_defaults=True):
    etag: str
    file_name: str | None = None
    client_id: str | None = None
    metadata: dict[str, str] = {}


def metadata_key(output: str, key: str) -> str:
    """The key of an object's metadata, below the output prefix."""
    *folders, name = key.split("/")
    if len(name.encode()) > LONGEST:
        name = hashlib.sha256(name.encode()).hexdigest()
    return output + FOLDER + "/".join([*folders, f"{name}.json"])


class FolderMetadata:
    """The metadata of the objects of a folder, below ``output``.

    ``path``: of a key, in a folder or where it is looked up. ``written``: the folder to which a key is written.
    """

    def __init__(
        self,
        output: str,
        path: Callable[[str, str, Path | None], Path],
        written: Callable[[str, str], Path],
    ) -> None:
        self._output = output
        self._path = path
        self._written = written

    def put(self, bucket: str, key: str, etag: str, user: UserMetadata | None) -> None:
        """Store the metadata of a version, before anybody can see the object. Raises ``OSError``."""
        if user is not None:
            beside = metadata_key(self._output, key)
            _write(self._path(bucket, beside, self._written(bucket, beside)), etag, user)

    def added(self, info: ObjectInfo) -> ObjectInfo:
        """The object with its metadata, if it has any. Never fails."""
        ref = info.ref
        if ref.key.startswith(self._output):
            return info
        found = None
        with contextlib.suppress(ObjectError):  # the folder of the output is a link that leads outside
            found = _read(self._path(ref.bucket, metadata_key(self._output, ref.key), None), ref.etag)
        return info if found is None else replace(info, user_metadata=found)

    def remove(self, bucket: str, key: str) -> None:
        """Remove the metadata of all versions. Raises ``OSError``."""
        with contextlib.suppress(ObjectError):  # as above
            if not key.startswith(self._output):
                self._path(bucket, metadata_key(self._output, key), None).unlink(missing_ok=True)


def _write(path: Path, etag: str, user: UserMetadata) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:200]}.{os.getpid()}.{id(user):x}")
    try:
        with temporary.open("wb") as file:
            file.write(msgspec.json.encode(_Stored(etag, user.file_name, user.client_id, dict(user.values))))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _read(path: Path, etag: str) -> UserMetadata | None:
    """The metadata of a version; ``None`` if there is none, or that of another version."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    kind: Any = _Stored
    try:
        stored: _Stored = from_json(data, kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        log.warning("the metadata of an object cannot be read", file=str(path), reason=str(exc))
        return None
    # without inodes: a folder that was copied has other times, as coarse as its file system keeps them
    if not same_version(stored.etag, etag, float("inf")):
        return None
    return UserMetadata(stored.file_name, stored.client_id, tuple(sorted(stored.metadata.items())))
