"""The format of a backup: files of rows, and a manifest that is written last.

A backup is a folder, or what is below a prefix of a bucket. ``manifest.json`` lists the other files with their sizes
and SHA-256. They are zstd files of msgpack values: a map with the ``backup`` and the ``file`` that it is, then a row
after the other, each an array that begins with its kind (``ROWS``). Names and values of Redis are binary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from vectordb.decoders import converted, from_json, from_msgpack
from vectordb.errors import Permanent
from vectordb.zstd import ZstdDecompressor, ZstdError, compress

FORMAT = 1
MANIFEST = "manifest.json"
UNFINISHED = "unfinished.json"
SUFFIX = ".msgpack.zst"
LEVEL = 3  # of zstd: bodies of records are compressed already
ROWS_BYTES = 8 << 20  # of rows in a file, before they are compressed: what is in memory at once
LONGEST = 256 << 20  # bytes of an unpacked file: a damaged one must not fill the memory
FILE_MAX = 256 << 20

ROWS: Mapping[str, str] = {
    "string": "place, name, lifetime in ms (0: none), value",
    "hash": "place, name, lifetime, fields and values in alternation",
    "zset": "place, name, lifetime, members and scores in alternation",
    "set": "place, name, lifetime, members",
    "list": "place, name, lifetime, values, number of the values before",
    "stream": "place, name, lifetime, entries: id, fields and values in alternation",
    "groups": "place, name, groups: name, id of the last entry that it is done with",
    "object": "place, object id, stored record, time of its first record (score in `P records`)",
    "entry": "place, object id, deadline, fields and values of `P entry:OID`, 1 if it is to be segmented",
    "captions": "number in the manifest, captions: id, text, payload (JSON); float32 vectors",
    "images": "entries (as in vectordb.images.ImageEntry), float32 vectors",
    "file": "path in the home, content",
}
"""The kinds of rows. ``place``: -1 for the keys under the prefix itself, otherwise the partition."""
BASE = -1


class BackupError(Permanent):
    """A backup cannot be written, read or restored. The text says why, and what to do."""


class SpoiltBackup(BackupError):
    """What was written of a backup does not fit together. Nothing of it is kept, and the next one begins anew."""


class DamagedBackup(BackupError):
    """A file of a backup is missing, or is not the one that was written. The text names it."""


class File(msgspec.Struct, frozen=True):
    """A file of a backup. ``rows``: how many it has. ``part``: ``redis``, ``captions``, ``images`` or ``home``."""

    name: str
    part: str
    bytes: int
    sha256: str
    rows: int


class SavedCaptions(msgspec.Struct, frozen=True):
    """A version of captions. ``manifest``: as its library stores it. ``captions``: all, also taught ones."""

    manifest: dict[str, Any]
    active: bool
    captions: int


class SavedImages(msgspec.Struct, frozen=True):
    """The index of images."""

    space_id: str
    dimension: int
    images: int


class Manifest(msgspec.Struct, frozen=True, omit_defaults=False):
    """What a backup is. ``began``, ``ended``: ISO 8601, UTC. ``counts``: rows by what they are; ``left_out``: keys.

    ``began``: when its keys were read. ``first_began``: when it was begun, if it was interrupted and continued.
    ``images`` is ``None``, and ``captions_saved`` false, if they were left out on request.
    """

    format: int
    id: str
    began: str
    ended: str
    wildtag: str
    layout_version: int
    partitions: int
    key_prefix: str
    bucket: str
    space_id: str
    files: tuple[File, ...]
    captions: tuple[SavedCaptions, ...]
    captions_saved: bool
    images: SavedImages | None
    counts: dict[str, int]
    left_out: dict[str, int]
    first_began: str | None = None

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)

    def part(self, name: str) -> list[File]:
        """The files of a part, in order."""
        return [file for file in self.files if file.part == name]


class _Format(msgspec.Struct, frozen=True):
    format: int


def encoded(manifest: Manifest) -> bytes:
    """The manifest as JSON, with its own checksum."""
    content = msgspec.to_builtins(manifest)
    content["checksum"] = _checksum(content)
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def decoded(data: bytes, name: str) -> Manifest:
    """Read a manifest. ``name``: of the backup. Raises ``BackupError``, ``DamagedBackup``."""
    try:
        found = from_json(data, _Format)
        content = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise DamagedBackup(f"the manifest of the backup {name} is damaged: {exc}") from exc
    if found.format > FORMAT:
        raise BackupError(
            f"the backup {name} has the format {found.format}, and this wildtag reads {FORMAT} at most:"
            " a newer wildtag wrote it, use that one"
        )
    if content.pop("checksum", None) != _checksum(content):
        raise DamagedBackup(f"the manifest of the backup {name} is damaged: its checksum does not match")
    try:
        return converted(content, Manifest)
    except msgspec.ValidationError as exc:
        raise DamagedBackup(f"the manifest of the backup {name} is damaged: {exc}") from exc


def _checksum(content: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in content.items() if name != "checksum"}
    return hashlib.sha256(msgspec.json.encode(rest, order="deterministic")).hexdigest()


def packed_file(backup: str, name: str, rows: Sequence[bytes]) -> bytes:
    """A file of rows that are encoded already."""
    head = msgspec.msgpack.encode({"backup": backup, "file": name, "rows": len(rows)})
    return compress(head + b"".join(rows), LEVEL)


def rows_of(manifest: Manifest, file: File, data: bytes) -> Iterator[list[Any]]:
    """The rows of a file whose content was read. Raises ``DamagedBackup`` before the first one."""
    check(manifest, file, data)
    unpacked = _unpacked(file, data)
    # the whole content is one stream of values; `msgspec` decodes one value, so it gets an array of all of them
    values: list[Any] = msgspec.msgpack.decode(b"\xdd" + (file.rows + 1).to_bytes(4, "big") + unpacked)
    yield from values[1:]


def check(manifest: Manifest, file: File, data: bytes) -> None:
    """Raise ``DamagedBackup`` unless this is the content of a file."""
    if len(data) == file.bytes and hashlib.sha256(data).hexdigest() == file.sha256:
        return
    other = _belongs(data)
    names = {one.name for one in manifest.files}
    if other is not None and (other[0] != manifest.id or (other[1] != file.name and other[1] in names)):
        raise DamagedBackup(f"{file.name} is not of the backup {manifest.id}: it is {other[1]} of {other[0]}")
    if len(data) != file.bytes:
        raise DamagedBackup(
            f"{file.name} of the backup {manifest.id} has {len(data):,} bytes, and {file.bytes:,} were written"
        )
    raise DamagedBackup(f"{file.name} of the backup {manifest.id} is damaged: its checksum does not match")


class _Head(msgspec.Struct, frozen=True):
    backup: str
    file: str


def _belongs(data: bytes) -> tuple[str, str] | None:
    """The backup and the name of a file, as far as it can be read."""
    try:
        begin = ZstdDecompressor().decompress(data, 1 << 16)
    except (ZstdError, EOFError):
        return None
    for end in range(1, min(len(begin), 400)):  # a short map: its end is where it can be decoded
        try:
            head = from_msgpack(begin[:end], _Head)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        return head.backup, head.file
    return None


def _unpacked(file: File, data: bytes) -> bytes:
    try:
        unpacker = ZstdDecompressor()
        content = unpacker.decompress(data, LONGEST)
    except (ZstdError, EOFError) as exc:
        raise DamagedBackup(f"{file.name} cannot be unpacked: {exc}") from exc
    if not unpacker.eof:
        raise DamagedBackup(f"{file.name} cannot be unpacked: it is longer than {LONGEST:,} bytes")
    return content
