"""Removes temporary files and folders that processes left when they were killed."""

from __future__ import annotations

import os
import shutil
import stat
import time
from contextlib import suppress
from pathlib import Path

LEFT_AFTER_S = 86_400.0  # seconds without a change, after which nobody writes it any more


def remove_leftovers(folder: Path, pattern: str, older_s: float = LEFT_AFTER_S) -> None:
    """Remove what matches ``pattern`` (as of ``Path.glob``) in a folder, if it is old and of this user.

    ``older_s``: since the last change of it, or of what is in it. Links are not followed. Never raises.
    """
    with suppress(OSError):
        for left in list(folder.glob(pattern)):
            with suppress(OSError):  # it was removed meanwhile, or may not be
                _remove_if_old(left, time.time() - older_s)


def is_leftover(found: os.stat_result, before: float) -> bool:
    """Whether this is of this user and was last changed before a time (Unix seconds)."""
    return found.st_uid == os.getuid() and found.st_mtime < before


def _remove_if_old(left: Path, before: float) -> None:
    found = left.lstat()
    if not is_leftover(found, before):
        return
    if not stat.S_ISDIR(found.st_mode):
        left.unlink()
    elif all(inside.lstat().st_mtime < before for inside in left.rglob("*")):
        shutil.rmtree(left, ignore_errors=True)
