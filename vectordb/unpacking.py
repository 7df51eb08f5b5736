"""Unpacks an untrusted archive to a folder, member by member, with strict checks.

``TarFile.extractall(filter=…)`` covers only a part, and is missing in Python 3.11 before 3.11.4.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from vectordb.archive import Archive, BadArchive, shown
from vectordb.disk_space import require_space

MEMBERS_MAX = 100_000
DEPTH_MAX = 32
_PIECE = 1 << 18


def unpack(archive: Archive, members: Iterable[tarfile.TarInfo], folder: Path, total_max: int) -> None:
    """Write all members below ``folder``, which must be empty. Blocks of zeros become holes.

    Accepts only regular files and folders, with safe relative names, each once. Ignores owner, mode and times. Raises
    ``BadArchive`` before the offending member is written, also if the members' sizes exceed ``total_max`` bytes in
    total; ``DiskFull``.
    """
    seen: set[PurePosixPath] = set()
    total = 0
    for member in members:
        path = _path(member)
        if path in seen:
            raise BadArchive(f"{shown(member.name)} occurs twice")
        seen.add(path)
        total += member.size
        if len(seen) > MEMBERS_MAX:
            raise BadArchive(f"it has more than {MEMBERS_MAX:,} members")
        if total > total_max:
            raise BadArchive(f"its members have more than {total_max:,} bytes, too many for the size of the file")
        target = folder / path
        try:
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                _write(archive, member, target)
        except (FileExistsError, NotADirectoryError) as exc:
            raise BadArchive(f"{shown(member.name)} is both a file and a folder") from exc


def _path(member: tarfile.TarInfo) -> PurePosixPath:
    """The target path of the member. Raises ``BadArchive``."""
    # a sparse file looks like a regular one, but its size is not that of its data in the archive
    if member.type not in {tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE} or member.issparse():
        raise BadArchive(f"{shown(member.name)} is neither a regular file nor a folder")
    if member.isdir() and member.size:
        raise BadArchive(f"{shown(member.name)} is a folder with content")
    parts = member.name.rstrip("/").split("/")
    if any(part in {"", ".", ".."} or not part.isprintable() or "\\" in part for part in parts):
        raise BadArchive(f"{shown(member.name)} is not a valid name in a snapshot")
    if len(parts) > DEPTH_MAX or any(len(part.encode(errors="surrogateescape")) > 255 for part in parts):
        raise BadArchive(f"{shown(member.name)} is too long")
    return PurePosixPath(*parts)


def _write(archive: Archive, member: tarfile.TarInfo, target: Path) -> None:
    with target.open("xb") as out:
        for piece in archive.pieces(member, _PIECE):
            if piece.count(0) == len(piece):
                out.seek(len(piece), 1)
                continue
            require_space(target.parent, len(piece), "unpack the snapshot")
            out.write(piece)
        out.truncate(member.size)
