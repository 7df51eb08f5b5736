"""What only a folder as bucket can have: links, pipes, names that are not UTF-8, permissions."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.stores.folder import FolderStore
from workers.stores.store import ObjectError, ObjectForbidden, StoreAway


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    (tmp_path / "inbox").mkdir()
    return FolderStore({"inbox": tmp_path / "inbox"})


@pytest.mark.parametrize("key", ["../secret", "a/../../secret", "/etc/passwd", "", "nul\0", ".."])
def test_keys_that_lead_outside(store: FolderStore, tmp_path: Path, key: str) -> None:
    (tmp_path / "secret").write_text("x")
    with pytest.raises(ObjectForbidden):
        store.get("inbox", key, limit=5)
    with pytest.raises(ObjectForbidden):
        store.put("inbox", key or "..", io.BytesIO(b"x"))


def test_links_that_lead_outside(store: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "inbox" / "link.jpg").symlink_to(tmp_path / "secret")
    with pytest.raises(ObjectForbidden, match="link"):
        store.get("inbox", "link.jpg", limit=5)
    assert [info.ref.key for info in store.list("inbox")] == ["link.jpg"]


def test_what_is_no_file_has_its_reason_and_never_blocks(store: FolderStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "inbox" / "pipe.jpg")
    (tmp_path / "inbox" / "broken.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "inbox" / "folder.jpg").mkdir()
    with pytest.raises(ObjectError, match="not a regular file"):
        store.get("inbox", "pipe.jpg", limit=5)
    with pytest.raises(ObjectError, match="broken link") as raised:  # it is listed, so it is not gone
        store.get("inbox", "broken.jpg", limit=5)
    assert raised.value.code == "unreadable"
    with pytest.raises(ObjectError):
        store.get("inbox", "folder.jpg", limit=5)
    assert store.stat("inbox", "folder.jpg") is None
    assert {info.ref.key for info in store.list("inbox")} == {"pipe.jpg", "broken.jpg"}


def test_a_name_that_is_not_utf_8(store: FolderStore, tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/inbox/caf\xe9.jpg")).write_bytes(b"x")
    (info,) = store.list("inbox")
    assert info.ref.key == "caf\\xe9.jpg"
    assert store.get("inbox", info.ref.key, limit=5)[0] == b"x"


def test_hidden_and_unfinished_files_are_no_objects(store: FolderStore, tmp_path: Path) -> None:
    for name in (".hidden", "photo.jpg.part", "photo.crdownload", "edit.jpg~"):
        (tmp_path / "inbox" / name).write_text("x")
    (tmp_path / "inbox" / ".git").mkdir()
    (tmp_path / "inbox" / ".git" / "a.jpg").write_text("x")
    assert list(store.list("inbox")) == []


def test_a_folder_that_is_away_is_not_an_empty_bucket(tmp_path: Path) -> None:
    store = FolderStore({"inbox": tmp_path / "unmounted"})
    with pytest.raises(StoreAway):
        list(store.list("inbox"))
    with pytest.raises(StoreAway):
        store.stat("inbox", "a.jpg")
    with pytest.raises(StoreAway):
        store.get("inbox", "a.jpg", limit=1)


def test_no_two_files_share_a_key(store: FolderStore, tmp_path: Path) -> None:
    names = [b"caf\xe9.jpg", rb"caf\xe9.jpg", rb"a\x41.jpg", rb"b\x5cxe9.jpg", "é.jpg".encode()]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/inbox/" + name)).write_bytes(name)
    keys = [info.ref.key for info in store.list("inbox")]
    assert len(set(keys)) == len(names)
    assert sorted(store.get("inbox", key, limit=50)[0] for key in keys) == sorted(names)


def test_a_loop_of_links_is_an_object_with_a_fault(store: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "inbox" / "a.jpg").symlink_to("b.jpg")
    (tmp_path / "inbox" / "b.jpg").symlink_to("a.jpg")
    assert {info.ref.key for info in store.list("inbox")} == {"a.jpg", "b.jpg"}
    assert store.stat("inbox", "a.jpg") is not None
    with pytest.raises(ObjectError):
        store.get("inbox", "a.jpg", limit=5)


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A folder of its own, entered as a user who may not read everything; root becomes nobody for the test."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o777)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    shutil.rmtree(folder)


def test_what_becomes_readable_is_another_version(nobody: Path) -> None:
    store = FolderStore({"inbox": nobody})
    put = store.put("inbox", "a.jpg", io.BytesIO(b"x"))
    (nobody / "a.jpg").chmod(0)
    closed = store.stat("inbox", "a.jpg")
    assert closed is not None
    assert closed.ref.etag != put.ref.etag
    with pytest.raises(ObjectForbidden, match="permission"):
        store.get("inbox", "a.jpg", limit=5)
    (nobody / "a.jpg").chmod(0o600)
    assert store.stat("inbox", "a.jpg") == put


def test_a_closed_folder_is_not_an_empty_one(nobody: Path) -> None:
    store = FolderStore({"inbox": nobody})
    store.put("inbox", "album/a.jpg", io.BytesIO(b"x"))
    (nobody / "album").chmod(0)
    with pytest.raises(ObjectForbidden):
        store.stat("inbox", "album/a.jpg")
    assert list(store.list("inbox")) == []
    (nobody / "album").chmod(0o700)
    assert store.stat("inbox", "album/a.jpg") is not None
