"""User metadata of a folder's objects, each in a JSON file below the output prefix, where nothing is tagged.

The file of ``uploads/a.jpg`` is ``.wildtag/.metadata/uploads/a.jpg.json``. It belongs to one version of the object,
which it names by its ETag: a file that was overwritten by hand has no metadata.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import structlog

from tasks.message_parts import UserMetadata
from vectordb.decoders import from_json
from workers.stores.folder_descent import Descent
from workers.stores.folder_files import READ, read_opened, replace_file
from workers.stores.folder_names import name_of
from workers.stores.folder_versions import same_version
from workers.stores.store import ObjectError, ObjectInfo

log = structlog.get_logger()

FOLDER = ".metadata/"  # hidden, so that no object has a sidecar here
BYTES_MAX = 1 << 16  # of a file
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

    ``descent``: of a key, in a folder or where it is looked up. ``written``: the folder to which a key is written.
    """

    def __init__(
        self,
        output: str,
        descent: Callable[[str, str, Path | None], Descent],
        written: Callable[[str, str], Path],
    ) -> None:
        self._output = output
        self._descent = descent
        self._written = written

    def put(self, bucket: str, key: str, etag: str, user: UserMetadata | None) -> None:
        """Store the metadata of a version, before anybody can see the object. Raises ``OSError``."""
        if user is not None:
            beside = metadata_key(self._output, key)
            data = msgspec.json.encode(_Stored(etag, user.file_name, user.client_id, dict(user.values)))
            descent = self._descent(bucket, beside, self._written(bucket, beside))
            with descent.parent(name_of(beside), make=True) as (folder, name):
                replace_file(folder, name, io.BytesIO(data))

    def added(self, info: ObjectInfo) -> ObjectInfo:
        """The object with its metadata, if it has any. Never fails."""
        ref = info.ref
        if ref.key.startswith(self._output):
            return info
        found = None
        with contextlib.suppress(ObjectError):  # the folder of the output is a link that leads outside
            beside = metadata_key(self._output, ref.key)
            found = _read(self._descent(ref.bucket, beside, None), name_of(beside), ref.etag)
        return info if found is None else replace(info, user_metadata=found)

    def remove(self, bucket: str, key: str) -> None:
        """Remove the metadata of all versions. Raises ``OSError``."""
        if key.startswith(self._output):
            return
        beside = metadata_key(self._output, key)
        with (
            contextlib.suppress(ObjectError, FileNotFoundError, NotADirectoryError),  # as above
            self._descent(bucket, beside, None).parent(name_of(beside)) as (folder, name),
        ):
            os.unlink(name, dir_fd=folder)


def _read(descent: Descent, name: str, etag: str) -> UserMetadata | None:
    """The metadata of a version; ``None`` if there is none, or that of another version."""
    try:
        with descent.opened(name, READ) as opened:
            data, _ = read_opened(opened, BYTES_MAX)
    except (OSError, ObjectError):
        return None
    kind: Any = _Stored
    try:
        stored: _Stored = from_json(data, kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        log.warning("the metadata of an object cannot be read", file=str(descent.root / name), reason=str(exc))
        return None
    # without inodes: a folder that was copied has other times, as coarse as its file system keeps them
    if not same_version(stored.etag, etag, float("inf")):
        return None
    return UserMetadata(stored.file_name, stored.client_id, tuple(sorted(stored.metadata.items())))
