"""Tells a lack of resources of a machine from a fault of a file: what passes proves nothing about the file.

Memory, descriptors, room and disks that do not answer come back; a file that was read meanwhile is as good as before.
"""

from __future__ import annotations

import errno
import re

_NAMES = """
    EAGAIN EBUSY ECONNABORTED ECONNREFUSED ECONNRESET EDQUOT EHOSTDOWN EHOSTUNREACH EINTR EIO EMFILE
    ENETDOWN ENETRESET ENETUNREACH ENFILE ENOBUFS ENOLCK ENOMEM ENOSPC ENOTCONN EPIPE EREMOTEIO EROFS
    ESTALE ETIMEDOUT
"""
PASSING = frozenset(getattr(errno, name) for name in _NAMES.split())
"""Numbers of errors of the operating system that pass, or that an operator ends."""

_CODES = "|".join(str(code) for code in sorted(PASSING))
_SHORT = re.compile(
    rf"os error (?:{_CODES})\b|\[errno (?:{_CODES})\]"
    r"|cannot allocate memory|out of memory|outofmemory|not enough memory|failed to allocate|memory allocation"
    r"|bad_alloc|allocation failed|too many open files|no space left|disk quota|resource temporarily unavailable"
    r"|failed to spawn thread|input/output error|read-only file system|stale file handle",
    re.IGNORECASE,
)


def passes(exc: BaseException) -> bool:
    """Whether an error of the operating system, or a lack of memory, may pass without any change of the file."""
    if isinstance(exc, OSError):
        return exc.errno in PASSING
    return isinstance(exc, MemoryError)


def lacks_resources(text: str) -> bool:
    """Whether the text of a library's error tells of a lack of memory, descriptors or room, or of a failing disk."""
    return _SHORT.search(text) is not None
