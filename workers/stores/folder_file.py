"""Reads a regular file of a folder that others write to."""

from __future__ import annotations

import os
import stat as modes
from collections.abc import Callable
from pathlib import Path

from workers.stores.store import ObjectError, ObjectForbidden, ObjectGone, ObjectTooLarge


def read_file(
    path: Path, limit: int, look: Callable[[os.stat_result], None] = lambda _: None
) -> tuple[bytes, os.stat_result]:
    """Read a regular file and its status at that time. Raises ``ObjectError``; never blocks.

    ``look`` receives the status before anything is read, and may raise.
    """
    try:
        # O_NONBLOCK: opening a pipe must not wait for its writer
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not modes.S_ISREG(status.st_mode):
                raise ObjectError("not a regular file")
            look(status)
            if status.st_size > limit:
                raise ObjectTooLarge(f"{status.st_size:,} bytes; the limit is {limit:,}")
            data = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise ObjectGone("the file does not exist") from exc
    except PermissionError as exc:
        raise ObjectForbidden("no permission to read the file") from exc
    except OSError as exc:
        raise ObjectError(f"the file cannot be read: {exc.strerror}") from exc
    if len(data) > limit:
        raise ObjectTooLarge(f"more than {limit:,} bytes")
    return data, status
