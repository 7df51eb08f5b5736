"""A lock between processes of one machine."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vectordb.library import BuildRunning


@contextmanager
def alone(file: Path, version: str) -> Iterator[None]:
    """Lock a file against other processes on this machine. The lock of a killed process is released.

    Creates the file if needed and never removes it. Raises ``BuildRunning``, whose text names ``version``.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise BuildRunning(
                f"{version} is being built, dropped or saved by another process; try again later"
            ) from exc
        held.write(str(os.getpid()))
        held.flush()
        yield
