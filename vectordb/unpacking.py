"""Unpacks untrusted archives to a folder: checked as a whole before anything is written, and again while it is.

``TarFile.extractall(filter="data")`` follows links of the archive (CVE-2025-4517) and sets no limits. Here an archive
has plain files and folders only, and what it may become on disk is bounded by its own size.
"""

from __future__ import annotations

import errno
import os
import shutil
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from vectordb.archive import Archive, BadArchive, shown
from vectordb.disk_space import require_space

MEMBERS_MAX = 10_000  # files and folders, also those that are only named above others
DEPTH_MAX = 32
_NAME_MAX = 255  # bytes
_SET_ID = 0o6000  # the mode bits setuid and setgid
_PIECE, _BLOCK = 1 << 18, 1 << 12
# a member of a ZIP archive, in its packed bytes: deflate reaches 1,032, JSON of captions about 8
_ZIP_TIMES, _ZIP_LEAST = 64, 1 << 20


@dataclass(frozen=True)
class Limits:
    """``nominal``: bytes of all members. ``written``: those on disk, without holes, which are 4 KiB of zeros each."""

    nominal: int
    written: int


@dataclass
class _Tally:
    """What was met of one archive."""

    limits: Limits
    spelt: dict[tuple[str, ...], PurePosixPath] = field(default_factory=dict)
    files: set[PurePosixPath] = field(default_factory=set)
    folders: set[PurePosixPath] = field(default_factory=set)
    named: set[PurePosixPath] = field(default_factory=set)
    nominal: int = 0
    written: int = 0

    def admit(self, member: tarfile.TarInfo) -> PurePosixPath:
        """The target path of a member. Raises ``BadArchive``."""
        path = _path(member)
        if path in self.named:
            raise BadArchive(f"{shown(member.name)} occurs twice")
        self.named.add(path)
        above = list(path.parents)[:-1]
        for place in (path, *above):
            other = self.spelt.setdefault(tuple(map(_folded, place.parts)), place)
            if other != place:
                raise BadArchive(f"{shown(member.name)} and {shown(str(other))} are one name on some file systems")
        if len(self.spelt) > MEMBERS_MAX:
            raise BadArchive(f"it has more than {MEMBERS_MAX:,} members")
        self.folders.update(above)
        (self.folders if member.isdir() else self.files).add(path)
        if any(place in self.files and place in self.folders for place in (path, *above)):
            raise BadArchive(f"{shown(member.name)} is both a file and a folder")
        self.nominal += member.size
        if self.nominal > self.limits.nominal:
            raise BadArchive(
                f"its members have more than {self.limits.nominal:,} bytes, too many for the size of the file"
            )
        return path

    def account(self, piece: bytes) -> list[tuple[int, bytes]]:
        """The blocks of a piece that are not holes, with their positions in it. Raises ``BadArchive``."""
        if piece.count(0) == len(piece):
            return []
        found = [
            (at, block)
            for at in range(0, len(piece), _BLOCK)
            if (block := piece[at : at + _BLOCK]).count(0) < len(block)
        ]
        self.written += sum(len(block) for _, block in found)
        if self.written > self.limits.written:
            raise BadArchive(f"it unpacks to more than {self.limits.written:,} bytes, too many for its size")
        return found


def check(archive: Archive, members: Iterable[tarfile.TarInfo], limits: Limits) -> None:
    """Read all of an archive and write nothing. Raises ``BadArchive`` for whatever ``unpack`` would refuse."""
    tally = _Tally(limits)
    for member in members:
        tally.admit(member)
        for piece in archive.pieces(member, _PIECE):
            tally.account(piece)


def unpack(archive: Archive, members: Iterable[tarfile.TarInfo], folder: Path, limits: Limits) -> None:
    """Write all members below ``folder``, which must be empty. Blocks of zeros become holes.

    Accepts only regular files and folders, with safe relative names, each once and also different when case and
    Unicode normalisation do not count. Ignores owner, mode and times. Raises ``BadArchive`` before the offending
    member is written; use ``check`` first, so that none is. Raises ``DiskFull``.
    """
    tally = _Tally(limits)
    for member in members:
        target = folder / tally.admit(member)
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            start = 0
            for piece in archive.pieces(member, _PIECE):
                if blocks := tally.account(piece):
                    require_space(folder, len(piece), "unpack the snapshot")
                for at, block in blocks:
                    out.seek(start + at)
                    out.write(block)
                start += len(piece)
            out.truncate(member.size)


def take_out(archive: Path, member: str, target: Path) -> None:
    """Write one file of a ZIP archive to ``target``, which appears when it is whole.

    Raises ``BadArchive``, also for a file that is too long for its packed bytes; ``DiskFull``.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        with zipfile.ZipFile(archive) as packed:
            info = packed.getinfo(member)
            if info.file_size > _ZIP_LEAST + _ZIP_TIMES * info.compress_size:
                raise BadArchive(f"{shown(member)} unpacks to {info.file_size:,} bytes, too many for its size")
            require_space(target.parent, info.file_size, f"unpack {archive.name}")
            with packed.open(info) as source, part.open("wb") as file:
                shutil.copyfileobj(source, file)
                file.flush()
                os.fsync(file.fileno())
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, ValueError, RuntimeError, OSError) as exc:
        part.unlink(missing_ok=True)
        if isinstance(exc, OSError) and exc.errno != errno.EINVAL:  # of a seek to before the beginning
            raise
        raise BadArchive(f"{archive.name} is not a ZIP archive with {member}: {exc}") from exc
    part.replace(target)


def _path(member: tarfile.TarInfo) -> PurePosixPath:
    """The target path of the member. Raises ``BadArchive``."""
    # a sparse file looks like a regular one, but its size is not that of its data in the archive
    if member.type not in {tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE} or member.issparse():
        raise BadArchive(f"{shown(member.name)} is neither a regular file nor a folder")
    if member.isdir() and member.size:
        raise BadArchive(f"{shown(member.name)} is a folder with content")
    if not member.isdir() and member.mode & _SET_ID:
        raise BadArchive(f"{shown(member.name)} would run with the rights of its owner")
    parts = member.name.rstrip("/").split("/")
    if any(part in {"", ".", ".."} or not part.isprintable() or "\\" in part for part in parts):
        raise BadArchive(f"{shown(member.name)} is not a valid name in a snapshot")
    if len(parts) > DEPTH_MAX or any(len(part.encode(errors="surrogateescape")) > _NAME_MAX for part in parts):
        raise BadArchive(f"{shown(member.name)} is too long")
    return PurePosixPath(*parts)


def _folded(part: str) -> str:
    """What a file system that ignores case and normalisation makes of a name."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", part).casefold())
