"""Memory of files that a library has mapped."""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path


def release(folder: Path) -> None:
    """Give back the memory of mapped files below a folder. What is used again is read again, from the cache or disk.

    Only mappings are touched that share their changes with the file, so nothing is lost. Does nothing on a system
    that does not show its mappings.
    """
    inside = os.path.join(os.path.realpath(folder), "").encode()  # noqa: PTH118 -- with a slash at its end
    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    try:
        lines = Path("/proc/self/maps").read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        place, rights, *_, file = line.split(maxsplit=5)
        if rights.endswith(b"s") and file.startswith(inside):
            start, end = (int(one, 16) for one in place.split(b"-"))
            libc.madvise(start, end - start, mmap.MADV_DONTNEED)
