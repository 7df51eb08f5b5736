"""A small file system in memory, which a test fills. Only root can mount one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system")


def mount(*arguments: str) -> None:
    """Skips the test where nothing may be mounted, as in some containers."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr.strip()}")


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """A disk at ``folder``, which is made. ``options``: of tmpfs, such as ``size=8m``."""
    folder.mkdir()
    mount("-t", "tmpfs", "-o", options, "none", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, left: int = 0) -> Path:
    """Fill it up to ``left`` bytes with one file, which is returned."""
    file = disk / "other"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with file.open("ab") as out:
        out.write(bytes(max(0, free - left)))
    return file
