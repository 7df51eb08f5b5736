"""A folder for the metrics of one process and of those that it forks, in the folder for temporary files.

It is removed when the process ends. A folder of a process that was killed is removed by the next one.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "wildtag-metrics-"
_OWNER = "owner"  # locked (flock) while a process of the folder lives


def temporary_folder() -> Path:
    """A new folder, which only this user can read. Raises ``OSError``."""
    _remove_abandoned()
    made = Path(tempfile.mkdtemp(prefix=f".{PREFIX}"))
    descriptor = os.open(made / _OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)  # held as long as the descriptor is open, also in a process that is forked
    folder = made.rename(made.with_name(made.name[1:]))  # seen by others when it is locked
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def _remove_abandoned() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # of another user, or just made or removed
            descriptor = os.open(folder / _OWNER, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
