"""Log files: bounded in size while processes write to them, whoever renames, removes or truncates them.

A file is rotated by its name: ``NAME.log`` becomes ``NAME.log.1``, and nothing is copied, so that no line is lost.
Its writers go on in the old file until they notice that the name leads to another one (``reopen``).
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from pathlib import Path
from typing import IO

LOG_LIMIT = 10_000_000  # bytes
LOGS_KEPT = 3
REOPEN_EVERY_S = 1.0
OUTPUTS = (1, 2)  # standard output and standard error


def rotate(log: Path, limit: int = LOG_LIMIT, kept: int = LOGS_KEPT) -> bool:
    """Rename a log to ``NAME.1`` if it is longer than ``limit`` bytes; keeps ``kept`` old ones.

    Returns whether it did. Raises ``OSError``.
    """
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        if log.stat().st_size <= limit:
            return False
    except FileNotFoundError:
        return False
    aside = [log, *(log.with_name(f"{log.name}.{number}") for number in range(1, kept + 1))]
    for older, newer in zip(reversed(aside), reversed(aside[:-1]), strict=False):
        if newer.exists():
            newer.replace(older)
    if not kept:
        log.unlink()
    open_log(log).close()
    return True


def begin_log(log: Path) -> IO[bytes]:
    """The same as ``open_log``, whose folder need not exist."""
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return open_log(log)


def open_log(log: Path) -> IO[bytes]:
    """A log, to be continued at its end. Only its owner can read it. Raises ``OSError``."""
    return open(log, "ab", opener=_private)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class Output:
    """Where this process writes its output, if that is a file."""

    def __init__(self) -> None:
        self._file = _file_of(OUTPUTS[-1])

    @property
    def is_file(self) -> bool:
        """Whether it is one, that can be opened again."""
        return self._file is not None

    def reopen(self) -> bool:
        """Continue in the file that now has the name, if it is another one. Returns whether it is.

        A missing one is made again. Raises ``OSError``.
        """
        if self._file is None:
            return False
        own = os.fstat(OUTPUTS[-1])
        with contextlib.suppress(FileNotFoundError):
            found = self._file.stat()
            if (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino):
                return False
        with open_log(self._file) as opened:
            for number in OUTPUTS:
                held = os.fstat(number)
                if (held.st_dev, held.st_ino) == (own.st_dev, own.st_ino):
                    os.dup2(opened.fileno(), number)
        return True


def _file_of(descriptor: int) -> Path | None:
    """The regular file that a descriptor appends to; ``None`` for anything else, such as a terminal or a pipe."""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
    except OSError:
        return None
    return path if path.exists() else None


def keep_output() -> None:
    """Reopen the output of this process, and of those that it forks, whenever its file was rotated."""
    output = Output()
    if not output.is_file:
        return

    def watch() -> None:
        pause = threading.Event()
        while not pause.wait(REOPEN_EVERY_S):  # which is never set
            with contextlib.suppress(OSError):  # a full disk: the old file is still there
                output.reopen()

    def begin() -> None:
        with contextlib.suppress(RuntimeError):  # too many threads
            threading.Thread(target=watch, name="log", daemon=True).start()

    begin()
    os.register_at_fork(after_in_child=begin)
