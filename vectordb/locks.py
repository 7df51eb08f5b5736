"""Locks between processes of one machine."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vectordb.library import BuildRunning


@contextmanager
def alone(file: Path, version: str) -> Iterator[None]:
    """Lock a file against other processes on this machine. The lock of a killed process is released.

    Creates the file, and removes it at the end. Raises ``BuildRunning``, whose text names ``version``.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with file.open("w") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise BuildRunning(
                    f"{version} is being built, dropped or saved by another process; try again later"
                ) from exc
            if not is_at(held.fileno(), file):
                continue  # its last holder has removed it since it was opened
            held.write(str(os.getpid()))
            held.flush()
            try:
                yield
            finally:
                with suppress(OSError):
                    file.unlink()
            return


def is_at(descriptor: int, file: Path) -> bool:
    """Whether an open file still has this name: a lock on one that was removed keeps nobody out."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), file.lstat())
    return False
