"""Cuts zeros out of the append-only file of the private Redis, with which it would not start.

When its disk is full, Redis writes a part of its buffer, cuts that part off again, and repeats the whole buffer
later. A file that it opened for a rewrite is not opened for appending, so it goes on at the old place, and what it
cut off becomes a hole of zeros (seen with Redis 7.0.15). The next start then fails: "Bad file format reading the
append only file". A loss of power leaves zeros at the end of a file in the same way.

Only zeros are cut out, and only where a command could begin, with complete commands before them and after them. At
the end of the last file also a command of which only the begin was written, if zeros follow it: Redis cuts off such a
command itself where nothing follows. Anything else is left as it is. The damaged file is kept.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from workers.redis.server_program import PARTS

log = structlog.get_logger()

DAMAGED = "damaged"  # the folder with the damaged files, beside that of the files in use
KEPT = 2  # damaged files
PIECE = 2**20
BAD, SHORT = -1, -2

_INCREMENTAL = re.compile(r"^file (\S+) seq \d+ type i", re.MULTILINE)
_ARGUMENTS = re.compile(rb"\*(\d{1,10})\r\n")
_LENGTH = re.compile(rb"\$(\d{1,10})\r\n")
_ZEROS = re.compile(rb"\0+")
_LONGEST_HEAD = 14  # bytes of ``*COUNT`` or ``$LENGTH`` with its end of line


@dataclass(frozen=True)
class Hole:
    """``size`` bytes at ``at`` that are no command."""

    at: int
    size: int


def repair(folder: Path) -> list[str]:
    """Repair the files in the data folder of a server that does not run. Returns the names of those that it repaired.

    Logs what it cuts out. A file that cannot be read or written is logged and left: the server says why it ends.
    """
    repaired = []
    try:
        files = _files(folder / PARTS)
    except OSError as exc:
        log.warning("append-only file not looked at", folder=str(folder), reason=str(exc))
        return []
    for file in files:
        try:
            found = holes_of(file, last=file == files[-1])
            if found:
                copy = _cut_out(file, found, folder / DAMAGED)
                cut = ", ".join(f"{hole.size} bytes at {hole.at}" for hole in found)
                log.warning("append-only file repaired", file=file.name, cut_out=cut, damaged_file=str(copy))
                repaired.append(file.name)
        except (OSError, ValueError) as exc:
            log.warning("append-only file not repaired", file=file.name, reason=str(exc))
    return repaired


def holes_of(file: Path, *, last: bool) -> list[Hole]:
    """What must be cut out of a file. ``last``: of the manifest, which may end in a command that was cut off.

    Raises ``OSError``.
    """
    if file.stat().st_size == 0:
        return []
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if not _suspicious(data):  # reading all commands takes a second for 100 MB
            return []
        return list(_holes(data, last=last))


def _files(parts: Path) -> list[Path]:
    try:
        manifests = [one.read_text() for one in parts.glob("*.manifest")]
    except FileNotFoundError:
        return []
    return [parts / name for text in manifests for name in _INCREMENTAL.findall(text) if (parts / name).is_file()]


def _suspicious(data: mmap.mmap) -> bool:
    """Whether zeros are where a command could begin, or at the end."""
    if data[0] == 0 or data[-1] == 0:
        return True
    for begin in range(0, len(data), PIECE):
        piece = data[begin : begin + PIECE + 2]  # ``mmap.find`` is slow
        at = piece.find(b"\r\n\0")
        while at >= 0:
            zeros = _ZEROS.match(data, begin + at + 2)
            if zeros is not None and _ARGUMENTS.match(data, zeros.end()):
                return True
            at = piece.find(b"\r\n\0", at + 2)
    return False


def _holes(data: mmap.mmap, *, last: bool) -> Iterator[Hole]:
    at, size = 0, len(data)
    while at < size:
        end = _end_of_command(data, at, size)
        if end >= 0:
            at = end
            continue
        zeros = _ZEROS.match(data, at)
        if zeros is not None:
            end = zeros.end()
            after = _end_of_command(data, end, size) if end < size else end
            if after == BAD or (after == SHORT and not last):
                return
            yield Hole(at, end - at)
            at = end
            continue
        written = _without_zeros(data)
        if last and at < written < size and _end_of_command(data, at, written) == SHORT:
            yield Hole(at, size - at)
        return


def _end_of_command(data: mmap.mmap, at: int, limit: int) -> int:
    """Where the command that begins at ``at`` ends. ``SHORT``: beyond ``limit``. ``BAD``: it is none."""
    head = _ARGUMENTS.match(data, at, limit)
    if head is None:
        if data[at : at + 1] == b"#":  # a note of Redis, such as the time
            end = data.find(b"\n", at, limit)
            return end + 1 if end >= 0 else SHORT
        return _short(data, at, limit, b"*")
    at = head.end()
    for _ in range(int(head[1])):
        length = _LENGTH.match(data, at, limit)
        if length is None:
            return _short(data, at, limit, b"$")
        at = length.end() + int(length[1])
        if at + 2 > limit:
            return SHORT
        if data[at : at + 2] != b"\r\n":
            return BAD
        at += 2
    return at


def _short(data: mmap.mmap, at: int, limit: int, sign: bytes) -> int:
    """``SHORT`` if what begins with ``sign`` reaches the limit before its line ends."""
    if at >= limit:
        return SHORT
    written = data[at : min(limit, at + _LONGEST_HEAD)]
    is_short = at + len(written) == limit and re.fullmatch(re.escape(sign) + rb"\d*\r?", written)
    return SHORT if is_short else BAD


def _without_zeros(data: mmap.mmap) -> int:
    """The size of the data without the zeros at its end."""
    end = len(data)
    while end > 0:
        piece = data[max(0, end - PIECE) : end]
        left = len(piece.rstrip(b"\0"))
        if left:
            return end - len(piece) + left
        end -= len(piece)
    return 0


def _cut_out(file: Path, holes: list[Hole], damaged: Path) -> Path:
    """Replace a file by one without the holes. Returns where the damaged one is kept. Raises ``OSError``."""
    draft = file.with_name(f"{file.name}.draft")
    try:
        with file.open("rb") as read, draft.open("wb") as out:
            begin = 0
            for hole in [*holes, Hole(file.stat().st_size, 0)]:
                read.seek(begin)
                left = hole.at - begin
                while left > 0 and (piece := read.read(min(PIECE, left))):
                    out.write(piece)
                    left -= len(piece)
                begin = hole.at + hole.size
            out.flush()
            os.fsync(out.fileno())
        copy = _keep(file, damaged)
        draft.replace(file)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    return copy


def _keep(file: Path, damaged: Path) -> Path:
    """A link to the file, which takes no room while the disk is nearly full. The oldest ones are removed."""
    damaged.mkdir(mode=0o700, exist_ok=True)
    before = sorted(damaged.iterdir(), key=lambda one: one.stat().st_mtime_ns)
    numbers = [int(one.suffix[1:]) for one in before if one.suffix[1:].isdecimal()]
    copy = damaged / f"{file.name}.{max(numbers, default=0) + 1}"
    os.link(file, copy)
    for old in before[: max(0, len(before) - KEPT + 1)]:
        old.unlink(missing_ok=True)
    return copy
