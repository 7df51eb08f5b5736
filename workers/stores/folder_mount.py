"""Identifies the folder behind a path, which is another one when a share is not mounted there."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FolderMount:
    """The folder at ``root``. ``empty``: whether it lists no file; that may take long in a large folder.

    ``identity``: its file system and its inode, as text. The file system is that of ``statvfs`` where it has an id:
    ext4, Btrfs and SMB keep it across mounts and reboots. Otherwise, as for NFS, it is the device number, which may
    be another one after each mount. A different identity alone therefore means nothing.
    """

    root: Path
    identity: str
    empty: Callable[[], bool]


def identity_of(root: Path) -> str:
    """The identity of a folder. Raises ``OSError``."""
    status = root.stat()
    return f"{os.statvfs(root).f_fsid or status.st_dev:x}-{status.st_ino:x}"
