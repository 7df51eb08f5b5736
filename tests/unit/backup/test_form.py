"""Files and manifests of backups: what was changed, cut off or exchanged is refused by name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
import pytest

from workers.backup.form import (
    FORMAT,
    BackupError,
    DamagedBackup,
    File,
    Manifest,
    decoded,
    encoded,
    packed_file,
    rows_of,
)

ROWS = [("string", -1, b"a", 0, b"\xff"), ("set", 2, b"b", 5, [b"x", b"y"])]
NAME = "redis-00001.msgpack.zst"


def made(backup: str = "one", rows: Sequence[tuple[object, ...]] = ROWS) -> tuple[Manifest, File, bytes]:
    data = packed_file(backup, NAME, [msgspec.msgpack.encode(row) for row in rows])
    file = File(NAME, "redis", len(data), hashlib.sha256(data).hexdigest(), len(rows))
    manifest = Manifest(
        FORMAT, backup, "2026-11-30T16:00:00+00:00", "2026-11-30T16:00:01+00:00", "0.1.0", 3, 1, "wildtag:", "inbox",
        "space", (file,), (), True, None, {"records": 0}, {},
    )  # fmt: skip
    return manifest, file, data


def test_what_is_written_is_read() -> None:
    manifest, file, data = made()
    assert [tuple(row) for row in rows_of(manifest, file, data)] == ROWS
    assert decoded(encoded(manifest), "one") == manifest


@pytest.mark.parametrize(("damage", "said"), [
    (lambda data: data[:-1], "bytes"), (lambda data: data + b"x", "bytes"), (lambda _: b"", "bytes"),
    (lambda data: data[:30] + bytes((data[30] ^ 1,)) + data[31:], "checksum"),
])  # fmt: skip
def test_a_changed_file_is_named(damage: object, said: str) -> None:
    manifest, file, data = made()
    with pytest.raises(DamagedBackup, match=f"{NAME} of the backup one.*{said}"):
        list(rows_of(manifest, file, damage(data)))  # type: ignore[operator]  # a lambda


def test_a_file_of_another_backup_is_named_with_it() -> None:
    manifest, file, _ = made()
    with pytest.raises(DamagedBackup, match=r"is not of the backup one: it is redis-00001\.msgpack\.zst of two"):
        list(rows_of(manifest, file, made("two")[2]))


@pytest.mark.parametrize("damage", [
    lambda data: data[:-3], lambda _: b"", lambda _: b"[]",
    lambda data: data.replace(b'"records": 0', b'"records": 1'),
    lambda data: data.replace(b'"inbox"', b'"other"'), lambda data: b"\xff" + data,
])  # fmt: skip
def test_a_changed_manifest_is_refused(damage: object) -> None:
    with pytest.raises(DamagedBackup, match="the manifest of the backup one is damaged"):
        decoded(damage(encoded(made()[0])), "one")  # type: ignore[operator]  # a lambda


def test_a_newer_format_is_refused_without_being_read() -> None:
    with pytest.raises(BackupError, match="a newer wildtag wrote it"):
        decoded(b'{"format": 2, "id": {"whatever": 1}}', "one")
