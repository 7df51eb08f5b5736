"""Whether there is room for uploads, and for what the processes on this machine write."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio.to_thread

LEAST_BYTES = 64 * 2**20  # free, or a smaller share of a small file system …
LEAST_INODES = 1_000
SHARE = 0.02  # … namely this one
AGAIN = 2.0  # times as much must be free again: the state must not change with every upload
FRESH_S = 1.0
NO_SPACE_S = 30  # until somebody may have made room
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""Faults of a write to a file system without space, or that is read-only."""


class FreeSpace:
    """Looks at folders at most once a second. Thread-safe.

    A folder that does not exist, or whose file system cannot be asked, has no lack of space: other checks report it.
    """

    def __init__(
        self,
        folders: Mapping[str, Path],
        writable: frozenset[str] = frozenset(),
        ask: Callable[[Path], os.statvfs_result] = os.statvfs,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``folders``: by what they are for. ``writable``: those that must not be read-only. ``clock``: seconds."""
        self._folders = folders
        self._writable = writable
        self._ask = ask
        self._clock = clock
        self._lock = threading.Lock()
        self._lacking: dict[str, str] = {}
        self._looked = float("-inf")

    def lacking(self) -> Mapping[str, str]:
        """What each folder lacks, by what it is for; empty while all is well."""
        with self._lock:
            if self._clock() - self._looked >= FRESH_S:
                self._looked = self._clock()
                found = ((name, self._of(name, folder)) for name, folder in self._folders.items())
                self._lacking = {name: lack for name, lack in found if lack is not None}
            return self._lacking

    async def looked(self) -> Mapping[str, str]:
        """The same, without blocking."""
        if self._clock() - self._looked < FRESH_S:
            return self._lacking
        return await anyio.to_thread.run_sync(self.lacking)

    def bytes(self) -> Mapping[str, tuple[int, int]]:
        """The free bytes and the size of each disk that can be asked, by the first word of what its folder is for."""
        found = {}
        for name, folder in self._folders.items():
            with contextlib.suppress(OSError):
                of = self._ask(folder)
                found[name.split()[0].lower()] = of.f_bavail * of.f_frsize, of.f_blocks * of.f_frsize
        return found

    def reason(self) -> str | None:
        """The same in one line; ``None`` while all is well."""
        lacking = self.lacking()
        places = [f"{name} ({self._folders[name]}): {lack}" for name, lack in lacking.items()]
        return "; ".join(places) or None

    def _of(self, name: str, folder: Path) -> str | None:
        try:
            found = self._ask(folder)
        except OSError:
            return None
        if found.f_flag & os.ST_RDONLY:
            return "the file system is read-only" if name in self._writable else None
        before = name in self._lacking
        whole, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
        if free < least_free(whole) * (AGAIN if before else 1.0):
            return f"the disk is full ({_megabytes(free)} of {_megabytes(whole)} free)"
        least = min(LEAST_INODES, SHARE * found.f_files) * (AGAIN if before else 1.0)
        if found.f_files and found.f_favail < least:
            return f"the file system has no inodes left ({found.f_favail:,} of {found.f_files:,} free): remove files"
        return None


def least_free(whole: int) -> float:
    """Bytes that stay free on a file system with ``whole`` bytes."""
    return min(LEAST_BYTES, SHARE * whole)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count < 1e9 else f"{count / 1e9:,.1f} GB"
