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
    """Nobody else on this machine is in this block for the same file. A killed holder's lock goes with it.

    The file is made where it is not there, and stays. Raises ``BuildRunning``, whose text speaks of ``version``.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise BuildRunning(f"{version} is being built already, or dropped or saved") from exc
        held.write(str(os.getpid()))
        held.flush()
        yield
