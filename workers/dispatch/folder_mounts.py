"""Remembers which folder held a bucket's objects, so that an empty mount point is not taken for an emptied folder.

What is missing is also compared with what is known (``workers.dispatch.removals``). That is not enough where uploads
are stored elsewhere: while the share of a read-only archive is not mounted, they are still there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.stores.folder_mount import FolderMount

log = structlog.get_logger()


class FolderMounts:
    """The folders of buckets. ``mount``: the one at the path of a bucket now. Raises ``Transient``."""

    def __init__(self, client: Client, keys: Keys, mount: Callable[[str], FolderMount]) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._mount = mount

    def note(self, bucket: str) -> None:
        """Remember the folder if it holds objects. Call it at the beginning of a pass."""
        mount = self._mount(bucket)
        if mount.identity != (before := self._noted(bucket)) and not mount.empty():
            self._write(bucket, mount)
            if before is not None:
                log.info("folder on another file system", bucket=bucket, folder=str(mount.root))

    def accept(self, bucket: str) -> None:
        """Remember the folder although it may be empty: a user has confirmed that the objects are gone."""
        self._write(bucket, self._mount(bucket))

    def replaced(self, bucket: str) -> str | None:
        """Why the folder is not to be trusted: it is empty, and not the one that held objects. Otherwise ``None``."""
        mount = self._mount(bucket)
        if self._noted(bucket) in {None, mount.identity} or not mount.empty():
            return None
        return f"the folder {mount.root} is empty and was replaced by another one: its share may not be mounted"

    def _noted(self, bucket: str) -> str | None:
        with translated():
            found = self._redis.get(self._keys.mount(bucket))
        return None if found is None else text(found)

    def _write(self, bucket: str, mount: FolderMount) -> None:
        with translated():
            self._redis.set(self._keys.mount(bucket), mount.identity)
