"""Takes from a process that decodes what it does not need: memory, files, network, rights."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from workers.decoding import landlock, seccomp

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CAPABILITIES = 0x20080522  # _LINUX_CAPABILITY_VERSION_3
_FILES = 64  # descriptors


class AddressSpace:
    """Tells how much address space this process has, also when it may open nothing any more."""

    def __init__(self) -> None:
        self.file = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)

    def __call__(self) -> int:
        """Bytes."""
        return int(os.pread(self.file, 100, 0).split()[0]) * resource.getpagesize()


def isolate(limit: int, memory: int, readable: Iterable[str]) -> tuple[str, ...]:
    """Isolate this process for good. Returns the names of what the kernel applies.

    ``limit``: bytes of address space. ``memory``: bytes of files that it was given. ``readable``: folders and files.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    with suppress(OSError):  # where the kernel is short of memory, an image fails and nothing else
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    applied = []
    for kind, value in (
        (resource.RLIMIT_AS, limit), (resource.RLIMIT_FSIZE, memory), (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _FILES),
    ):  # fmt: skip
        resource.setrlimit(kind, (value, value))
    applied.append("memory")
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        applied.append("no-new-privileges")
    libc.capset(struct.pack("=Ii", _CAPABILITIES, 0), bytes(24))
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # no other process of the user reads its memory, nor it theirs
    if landlock.restrict(libc, readable):
        applied.append("landlock")
    if seccomp.install(libc):
        applied.append("seccomp")
    return tuple(applied)


def close_all_but(kept: Iterable[int]) -> None:
    """Close every descriptor but these."""
    begin = 0
    for one in (*sorted(kept), max(os.sysconf("SC_OPEN_MAX"), 2**16)):
        if begin < one:  # an empty range would be taken for one without an end
            os.closerange(begin, one)
        begin = one + 1
