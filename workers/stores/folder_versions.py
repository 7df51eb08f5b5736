"""The ETag of a file in a folder, and which ETags mean the same version of it.

An ETag is made of the modification time and the size. It does not contain the inode, which changes when a folder is
copied, restored or mounted again. Older versions of wildtag wrote ``time-size-inode``.

File systems keep times with different resolutions, so a copy may have a coarser time than its original. Both are the
same version if their sizes are equal and one time is exactly the other, rounded to the resolution of a coarser file
system. The other must then be finer than a millisecond: two times that are both as coarse as that belong to two files
that were written one after the other, as a burst of photographs of one size.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

RESOLUTIONS_NS = (
    2_000_000_000,  # FAT
    1_000_000_000,  # HFS+, ext3, NFS 2, many NAS systems and archives
    10_000_000,  # exFAT
    1_000_000,  # programs that copy times in milliseconds
    1_000,  # programs that copy times in microseconds
    100,  # NTFS and SMB
)
FINE_NS = 1_000_000  # a time with a part below this cannot come from a clock of milliseconds, seconds or two seconds
UNREADABLE = "-unreadable"
_ETAG = re.compile(r"(?P<time>-?[0-9a-f]+)-(?P<size>[0-9a-f]+)(?:-(?P<inode>[0-9a-f]+))?(?P<unreadable>-unreadable)?")


@dataclass(frozen=True)
class _Version:
    """``time``: nanoseconds, negative before 1970."""

    time: int
    size: int
    unreadable: bool


def etag_of(status: os.stat_result, *, readable: bool = True) -> str:
    """The ETag of a file. A file that becomes readable gets another one, because it must be tried again."""
    return f"{status.st_mtime_ns:x}-{status.st_size:x}{'' if readable else UNREADABLE}"


def same_version(known: str, met: str, read_at: float) -> bool:
    """Whether two ETags of one key mean the same version. ``read_at``: when ``known`` was read, Unix seconds.

    A file that was changed after it was read has a later time than that. So a later time counts as a coarser one of
    the same version only if even its latest true value is before ``read_at``.
    """
    before, after = _parsed(known), _parsed(met)
    if before is None or after is None:
        return known == met
    if (before.size, before.unreadable) != (after.size, after.unreadable):
        return False
    if before.time == after.time:
        return True
    return any(_agree(before.time, after.time, resolution, read_at) for resolution in RESOLUTIONS_NS)


def _agree(known: int, met: int, resolution: int, read_at: float) -> bool:
    if not (_rounded(known, met, resolution) or _rounded(met, known, resolution)):
        return False
    return met < known or (met + resolution) / 1e9 <= read_at


def _rounded(fine: int, coarse: int, resolution: int) -> bool:
    """Whether ``coarse`` is ``fine``, rounded down or up, and ``fine`` is no time of an equally coarse clock."""
    return (
        coarse % resolution == 0
        and abs(coarse - fine) < resolution
        and fine % min(resolution, FINE_NS) != 0
    )  # fmt: skip


def _parsed(etag: str) -> _Version | None:
    found = _ETAG.fullmatch(etag)
    if found is None:
        return None
    return _Version(int(found["time"], 16), int(found["size"], 16), found["unreadable"] is not None)
