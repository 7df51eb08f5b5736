"""Temporary folders and lock files that end with their process, in the folder for temporary files.

Each has a file that is locked (flock) while its process, or one that it forked, lives. What belongs to a process that
was killed is removed by the next one that makes such a folder or file.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from vectordb.leftovers import remove_leftovers
from vectordb.locks import is_at

_NAME = "wildtag-"
OWNER = "owner"  # the locked file of a folder
_LOCK = ".lock"  # ends the name of a lock file


def prefix(kind: str) -> str:
    """What the names of all folders of a kind begin with."""
    return f"{_NAME}{kind}-"


def temporary_folder(kind: str) -> Path:
    """A new folder, which only this user can read. It is removed when this process ends. Raises ``OSError``."""
    remove_abandoned()
    made = Path(tempfile.mkdtemp(prefix=f".{prefix(kind)}"))
    try:
        descriptor = os.open(made / OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # held as long as the descriptor is open, also in forked processes
        folder = made.rename(made.with_name(made.name[1:]))  # seen by others when it is locked
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        raise
    _at_end(lambda: shutil.rmtree(folder, ignore_errors=True))
    return folder


def claim(name: str) -> bool:
    """Hold a lock file of this name until this process ends. Whether no other process holds it.

    Raises ``OSError`` if the file cannot be made.
    """
    remove_abandoned()
    file = Path(tempfile.gettempdir()) / f"{_NAME}{os.getuid()}-{name}{_LOCK}"
    while True:
        held = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if not _locked(held):
            os.close(held)
            return False
        if is_at(held, file):
            _at_end(lambda: file.unlink(missing_ok=True))
            return True
        os.close(held)  # its last holder removed it meanwhile


def remove_abandoned(above: Path | None = None) -> None:
    """Remove the folders and lock files of this user whose processes have ended. Never raises.

    ``above``: the folder for temporary files; default: that of this process.
    """
    above = above or Path(tempfile.gettempdir())
    with suppress(OSError):
        for folder in above.glob(f"{_NAME}*/{OWNER}"):
            _remove(folder, lambda owner: shutil.rmtree(owner.parent, ignore_errors=True))
        for file in above.glob(f"{_NAME}{os.getuid()}-*{_LOCK}"):
            _remove(file, Path.unlink)
    remove_leftovers(above, f".{_NAME}*")  # made by a process that was killed before it locked it


def _remove(file: Path, remove: Callable[[Path], None]) -> None:
    """Remove what a lock file stands for, unless somebody holds it."""
    with suppress(OSError):  # of another user, or just made or removed
        descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if os.fstat(descriptor).st_uid == os.getuid() and _locked(descriptor) and is_at(descriptor, file):
                remove(file)
        finally:
            os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _at_end(remove: Callable[[], None]) -> None:
    """Remove it when this process, and not one that it forked, ends."""
    owner = os.getpid()

    def removed() -> None:
        if os.getpid() == owner:
            with suppress(OSError):
                remove()

    atexit.register(removed)
