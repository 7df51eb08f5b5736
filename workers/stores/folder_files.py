"""Reads and replaces single files of a folder through descriptors. The errors are those of ``ObjectStore``."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat as modes
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from vectordb.leftovers import LEFT_AFTER_S, is_leftover
from vectordb.resources import passes
from workers.stores.store import ObjectError, ObjectForbidden, ObjectGone, ObjectTooLarge, StoreAway

CHUNK = 2**16  # bytes per write
UNFINISHED = ".put-"  # begins the name of a file that is not whole
_UNFINISHED = re.compile(r"\.put-[0-9a-f]{16}")
READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: opening a pipe must not wait for its writer


def read_file(
    path: Path, limit: int, look: Callable[[os.stat_result], None] = lambda _: None
) -> tuple[bytes, os.stat_result]:
    """Read a regular file and its status at that time. Raises ``ObjectError``; never blocks.

    ``look`` receives the status before anything is read, and may raise.
    """
    with reading():
        descriptor = os.open(path, READ)
        try:
            return read_opened(descriptor, limit, look)
        finally:
            os.close(descriptor)


def read_opened(
    descriptor: int, limit: int, look: Callable[[os.stat_result], None] = lambda _: None
) -> tuple[bytes, os.stat_result]:
    """The same of an open file, which stays open. Raises ``OSError``, too."""
    status = os.fstat(descriptor)
    if not modes.S_ISREG(status.st_mode):
        raise ObjectError("not a regular file")
    look(status)
    if status.st_size > limit:
        raise ObjectTooLarge(f"{status.st_size:,} bytes; the limit is {limit:,}")
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ObjectTooLarge(f"more than {limit:,} bytes")
    return data, status


def replace_file(
    folder: int, name: str, data: BinaryIO, placed: Callable[[os.stat_result], None] = lambda _: None
) -> os.stat_result:
    """Write a hidden file into an open folder, then give it its name. Returns its status.

    ``placed`` is called when it is whole, before it gets its name. Errors of ``data`` are raised unchanged. Raises
    ``StoreAway``. A link of this name is replaced, not followed.
    """
    temporary = f"{UNFINISHED}{secrets.token_hex(8)}"
    with writing():
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            while piece := data.read(CHUNK):
                with writing():
                    file.write(piece)
            with writing():
                file.flush()
                os.fchmod(descriptor, 0o600 | os.fstat(folder).st_mode & 0o044)  # as readable as its folder
                os.fsync(descriptor)
                placed(os.fstat(descriptor))
                os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
                return os.fstat(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise


def unfinished(name: str) -> bool:
    """Whether ``replace_file`` names a file so until it is whole."""
    return name.startswith(UNFINISHED) and _UNFINISHED.fullmatch(name) is not None


def remove_abandoned(folder: int, name: str) -> None:
    """Remove an unfinished file in an open folder if nobody has written it for a day: its process was killed."""
    with contextlib.suppress(OSError):  # it was removed meanwhile, or may not be
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if modes.S_ISREG(found.st_mode) and is_leftover(found, time.time() - LEFT_AFTER_S):
            os.unlink(name, dir_fd=folder)


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Translates errors of opening and reading a file: ``StoreAway`` for those that pass, else ``ObjectError``."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise ObjectGone("the file does not exist") from exc
    except PermissionError as exc:
        raise ObjectForbidden("no permission to read the file") from exc
    except OSError as exc:
        if passes(exc):  # too many open files, a disk or a server of files that does not answer
            raise StoreAway(f"the file cannot be read now: {exc.strerror}") from exc
        raise ObjectError(f"the file cannot be read: {exc.strerror}") from exc


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Translates write errors such as a full disk or missing permission; an operator can fix these."""
    try:
        yield
    except OSError as exc:
        raise StoreAway(f"the folder cannot be written to: {exc.strerror or exc}") from exc
