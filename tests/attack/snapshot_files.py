"""Snapshots that were made to do harm. They look like those of earlier versions, which hold files of an index."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from vectordb import zstd

MIB = 1 << 20
TOP = "mini/old@v1"
Members = Iterator[tuple[tarfile.TarInfo, bytes]]


def member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0, mode: int = 0o644
) -> tarfile.TarInfo:
    """The header of a member."""
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size, made.mode = kind, link, size, mode
    return made


def file(name: str, content: bytes = b"x", mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    """A regular file."""
    return member(f"{TOP}/{name}", size=len(content), mode=mode), content


def special(name: str, kind: bytes, link: str) -> tuple[tarfile.TarInfo, bytes]:
    """A link or a device."""
    return member(f"{TOP}/{name}", kind, link), b""


def long_links(outside: Path) -> Members:
    """CVE-2025-4517: links whose resolved path is longer than a path may be, then a file through them."""
    step, name, path = "d" * 247, "abcdefghijklmnop", ""
    for letter in name:
        yield member(f"{TOP}/{path}{step}", tarfile.DIRTYPE), b""
        yield special(f"{path}{letter}", tarfile.SYMTYPE, step)
        path += f"{step}/"
    through = "/".join(name) + "/" + "l" * 254
    yield special(through, tarfile.SYMTYPE, "../" * len(name))
    yield special("escape", tarfile.SYMTYPE, f"{through}/../../../../../..{outside.parent}")
    yield special("flag", tarfile.LNKTYPE, f"{TOP}/escape/{outside.name}")
    yield file("flag", b"overwritten")


MEMBERS: dict[str, Callable[[Path], Members]] = {
    "long links": long_links,
    "symbolic link": lambda outside: iter([special("l", tarfile.SYMTYPE, str(outside)), file("l", b"overwritten")]),
    "hard link": lambda outside: iter([special("l", tarfile.LNKTYPE, str(outside)), file("l", b"overwritten")]),
    "link to a folder": lambda outside: iter(
        [special("l", tarfile.SYMTYPE, str(outside.parent)), file(f"l/{outside.name}", b"overwritten")]
    ),
    "device": lambda _: iter([special("d", tarfile.CHRTYPE, "")]),
    "pipe": lambda _: iter([special("p", tarfile.FIFOTYPE, "")]),
    "absolute name": lambda outside: iter([(member(str(outside), size=1), b"x")]),
    "dotted name": lambda _: iter([file("../../../outside")]),
    "name twice": lambda _: iter([file("a"), file("a", b"y")]),
    "name in other case": lambda _: iter([file("manifest.json"), file("MANIFEST.json")]),
    "name in other normalisation": lambda _: iter([file("caf\u00e9"), file("cafe\u0301")]),
    "name that is compatible": lambda _: iter([file("f\ufb01le"), file("ffile")]),
    "folder in other case": lambda _: iter([file("index/a"), file("INDEX/b")]),
    "runs as its owner": lambda _: iter([file("tool", mode=0o4755)]),
    "too deep": lambda _: iter([file("d/" * 40 + "f")]),
    "too long a name": lambda _: iter([file("n" * 300)]),
    "too many members": lambda _: (file(f"{number:06}", b"") for number in range(10_001)),
    "too many folders": lambda _: (file(f"{number}/" * 20 + "f", b"") for number in range(600)),
    "too much on disk": lambda _: (file(f"{number}", b"a" * MIB) for number in range(1200)),
    "too much in holes": lambda _: iter([(member(f"{TOP}/holes", size=1 << 40), bytes(MIB))]),
    "sparse file": lambda _: iter([(member(f"{TOP}/s", tarfile.GNUTYPE_SPARSE), b"")]),
}


def written(name: str, file: Path, outside: Path) -> None:
    """Write such a snapshot. ``outside``: the file that it tries to overwrite."""
    manifest = {
        "name": "old", "version": "v1", "space_id": "mini", "dimension": 4, "count": 1, "template": None,
        "created": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    first = [(member(TOP, tarfile.DIRTYPE), b""), *_manifest(name, json.dumps(manifest).encode())]
    with zstd.ZstdFile(file, "w") as packed:
        for header, content in chain(first, MEMBERS[name](outside)):
            packed.write(header.tobuf(tarfile.PAX_FORMAT) + content + bytes(-len(content) % 512))
        packed.write(bytes(1024))


def _manifest(name: str, content: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
    return [] if name == "name in other case" else [(member(f"{TOP}/manifest.json", size=len(content)), content)]
