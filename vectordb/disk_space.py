"""Whether a disk has room: the index engine writes through mapped memory, and on a full disk the kernel kills it."""

from __future__ import annotations

import os
from pathlib import Path

from vectordb.index import IndexFault

MARGIN = 96 * 2**20  # bytes: the engine's log grows by pieces of 32 MiB, payloads by somewhat less


class DiskFull(IndexFault):
    """There is no room for what was to be written; what is there already stays."""


def need_room(folder: Path, size: int, purpose: str) -> None:
    """Raise ``DiskFull`` unless ``size`` bytes and a margin are free where ``folder`` is."""
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    if free < size + MARGIN:
        needed = f"{_mib(size + MARGIN)} MiB are needed to {purpose}"
        raise DiskFull(f"the disk of {folder} is full: {_mib(free)} MiB are free, {needed}")


def size_of(folder: Path) -> int:
    """Bytes in use under a folder: blocks, since the engine's files have holes."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


def _mib(size: int) -> int:
    return round(size / 2**20)
