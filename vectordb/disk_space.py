"""Checks for free disk space: the index engine writes to mapped memory, and the kernel kills it on a full disk."""

from __future__ import annotations

import os
from pathlib import Path

from vectordb.index import IndexFault

OPENING = 40 * 2**20  # bytes: of a log that the engine begins when it opens an index, also to read it
MARGIN = 96 * 2**20  # bytes: the engine's log grows in steps of 32 MiB, payloads in smaller ones


class DiskFull(IndexFault):
    """Not enough disk space for the operation; existing data is unchanged."""


def require_space(folder: Path, size: int, purpose: str, margin: int = MARGIN) -> None:
    """Raise ``DiskFull`` unless ``size`` bytes and a margin are free on the disk of ``folder``."""
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    if free < size + margin:
        needed = f"{_mib(size + margin)} MiB are needed to {purpose}"
        raise DiskFull(f"not enough disk space in {folder}: {_mib(free)} MiB are free, {needed}")


def size_of(folder: Path) -> int:
    """Disk usage of a folder in bytes, counted in blocks, because the engine's files are sparse."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


def _mib(size: int) -> int:
    return round(size / 2**20)
