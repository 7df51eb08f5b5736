"""Temporary folders and lock files that end with their process, in the folder for temporary files.

Each has a file that is locked (flock) while its process, or one that it forked, lives. What belongs to a process that
was killed is removed by the next one that makes such a folder or file.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from vectordb.leftovers import LEFT_AFTER_S, is_leftover
from vectordb.locks import is_at

_NAME = "wildtag-"
OWNER = "owner"  # the locked file of a folder
_LOCK = ".lock"  # ends the name of a lock file
_MADE = re.compile(rf"{_NAME}[a-z]+-[a-z0-9_]{{8}}")  # a name that ``tempfile.mkdtemp`` has made
_LOOKS = 4  # at a lock that is held: another process holds it for a moment to see whether its holder has ended
_LOOK_S = 0.005  # between two looks


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
        if not any(_locked(held, after_s) for after_s in (0.0, *[_LOOK_S] * (_LOOKS - 1))):
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
    for owner in filter(_is_temporary, _listed(above, f"{_NAME}*/{OWNER}")):
        _remove(owner, lambda owner: shutil.rmtree(owner.parent, ignore_errors=True))
    for file in _listed(above, f"{_NAME}{os.getuid()}-*{_LOCK}"):
        _remove(file, Path.unlink)
    for folder in _listed(above, f".{_NAME}*"):  # made by a process that was killed before it locked it
        with suppress(OSError):
            if is_leftover(folder.lstat(), time.time() - LEFT_AFTER_S) and {*folder.iterdir()} <= {folder / OWNER}:
                (folder / OWNER).unlink(missing_ok=True)
                folder.rmdir()


def _listed(above: Path, pattern: str) -> list[Path]:
    with suppress(OSError):
        return list(above.glob(pattern))
    return []


def _is_temporary(owner: Path) -> bool:
    """Whether this is the lock file of a folder as ``temporary_folder`` makes them, not of one that a person made."""
    with suppress(OSError):
        folder, file = owner.parent.lstat(), owner.lstat()
        private = stat.S_ISDIR(folder.st_mode) and stat.S_IMODE(folder.st_mode) == 0o700
        return private and file.st_size == 0 and _MADE.fullmatch(owner.parent.name) is not None
    return False


def _remove(file: Path, remove: Callable[[Path], None]) -> None:
    """Remove what a lock file stands for, unless somebody holds it."""
    with suppress(OSError):  # of another user, or just made or removed
        descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if os.fstat(descriptor).st_uid == os.getuid() and _locked(descriptor) and is_at(descriptor, file):
                remove(file)
        finally:
            os.close(descriptor)


def _locked(descriptor: int, after_s: float = 0.0) -> bool:
    try:
        time.sleep(after_s)
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
