"""What only a folder as bucket can have: links, pipes, names that are not UTF-8, permissions."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tasks.message_parts import UserMetadata
from workers.stores.folder import FolderStore
from workers.stores.folder_walk import FollowLinks
from workers.stores.key_patterns import SIDE_FILES, KeyPatterns
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
    with pytest.raises(ObjectForbidden, match="a link that leads outside of the inbox"):
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


def test_side_files_are_not_listed_and_what_an_older_wildtag_tagged_is_not_gone(
    store: FolderStore, tmp_path: Path
) -> None:
    (tmp_path / "inbox" / "album" / "@eaDir").mkdir(parents=True)
    for name in ("Thumbs.db", "a.jpg.xmp", "@eaDir/b.jpg", "c.jpg"):
        (tmp_path / "inbox" / "album" / name).write_text("x")
    assert [info.ref.key for info in store.list("inbox")] == ["album/c.jpg"]
    assert store.stat("inbox", "album/@eaDir/b.jpg") is not None
    with pytest.raises(ObjectForbidden, match="side files"):
        store.put("inbox", "album/b.xmp", io.BytesIO(b"x"))
    taken_back = FolderStore({"inbox": tmp_path / "inbox"}, ignored=KeyPatterns((*SIDE_FILES, "!*.xmp")))
    assert [info.ref.key for info in taken_back.list("inbox")] == ["album/a.jpg.xmp", "album/c.jpg"]


def linked(store: FolderStore) -> tuple[list[str], list[str]]:
    """The keys that are listed, and what is logged; listed twice, since nothing is logged twice."""
    with capture_logs() as logs:
        keys = [info.ref.key for info in store.list("inbox")]
        assert [info.ref.key for info in store.list("inbox")] == keys
    return keys, sorted(f"{line['link']}: {line['event']}" for line in logs)


def test_links_to_folders_are_followed_where_the_setting_says_so(tmp_path: Path) -> None:
    inbox, archive = tmp_path / "inbox", tmp_path / "archive"
    for folder in (inbox / "real", archive):
        folder.mkdir(parents=True)
        (folder / "a.jpg").write_text("x")
    (archive / "home").symlink_to(inbox)
    (inbox / "inside").symlink_to("real")
    (inbox / "outside").symlink_to(archive)
    (inbox / "file.jpg").symlink_to(archive / "a.jpg")
    (inbox / "real" / "up").symlink_to("..")

    def store(links: FollowLinks) -> FolderStore:
        return FolderStore({"inbox": inbox}, links=links)

    off, inside, outside = "link to a folder not followed", "link to a folder that contains it not followed", (
        "a link that leads outside of the inbox is not followed"
    )  # fmt: skip
    assert linked(store("none")) == (
        ["file.jpg", "real/a.jpg"], [f"inside: {off}", f"outside: {off}", f"real/up: {off}"]
    )  # fmt: skip
    assert linked(store("inside")) == (
        ["file.jpg", "inside/a.jpg", "real/a.jpg"],
        [f"inside/up: {inside}", f"outside: {outside}", f"real/up: {inside}"],
    )
    assert linked(store("anywhere")) == (
        ["file.jpg", "inside/a.jpg", "outside/a.jpg", "real/a.jpg"],
        [f"inside/up: {inside}", f"outside/home: {inside}", f"real/up: {inside}"],
    )
    with pytest.raises(ObjectForbidden):
        store("inside").get("inbox", "outside/a.jpg", limit=5)
    for key in ("outside/a.jpg", "file.jpg"):
        assert store("anywhere").get("inbox", key, limit=5)[0] == b"x"


def test_uploads_and_output_go_elsewhere_and_are_found_there(tmp_path: Path) -> None:
    """The inbox is not written to. A folder of that name in it is not hidden by the other one."""
    inbox, other = tmp_path / "inbox", tmp_path / "other"
    for key in ("a.jpg", "uploads/old.jpg", "uploads/same.jpg", "z.jpg"):
        (inbox / key).parent.mkdir(parents=True, exist_ok=True)
        (inbox / key).write_text("inbox")
    store = FolderStore({"inbox": inbox}, elsewhere=other)
    assert [info.ref.key for info in store.list("inbox")] == ["a.jpg", "uploads/old.jpg", "uploads/same.jpg", "z.jpg"]
    before = sorted(inbox.rglob("*"))
    for key in ("uploads/new.jpg", "uploads/same.jpg", ".wildtag/segments/a.jpg.overlay.jpg"):
        put = store.put("inbox", key, io.BytesIO(b"other"))
        assert store.get("inbox", key, limit=5) == (b"other", put)
        assert (other / key).read_bytes() == b"other"
    assert sorted(inbox.rglob("*")) == before
    keys = ["a.jpg", "uploads/new.jpg", "uploads/old.jpg", "uploads/same.jpg", "z.jpg"]
    assert [info.ref.key for info in store.list("inbox")] == keys
    for prefix in ("", "u", "uploads/", "uploads/n", "z", "x"):
        wanted = [key for key in keys if key.startswith(prefix)]
        assert [info.ref.key for info in store.list("inbox", prefix)] == wanted
        for after in keys:
            assert [info.ref.key for info in store.list("inbox", prefix, after)] == [k for k in wanted if k > after]
    store.remove("inbox", "uploads/new.jpg")
    assert store.stat("inbox", "uploads/new.jpg") is None
    with pytest.raises(ObjectForbidden):
        store.get("inbox", "uploads/../../inbox/a.jpg", limit=5)


def test_a_read_only_inbox_is_said_to_be_one(nobody: Path) -> None:
    (nobody / "inbox").mkdir()
    (nobody / "inbox" / "a.jpg").write_text("x")
    (nobody / "inbox").chmod(0o555)
    try:
        store = FolderStore({"inbox": nobody / "inbox"})
        with pytest.raises(StoreAway, match="cannot be written to"):
            store.put("inbox", "uploads/b.jpg", io.BytesIO(b"x"))
        beside = FolderStore({"inbox": nobody / "inbox"}, elsewhere=nobody / "other")
        beside.put("inbox", "uploads/b.jpg", io.BytesIO(b"x"))
        assert [info.ref.key for info in beside.list("inbox")] == ["a.jpg", "uploads/b.jpg"]
    finally:
        (nobody / "inbox").chmod(0o755)


@pytest.mark.parametrize("ns", [-300_000_000_123_456_789, 0, 4_102_444_800_000_000_001])
def test_files_of_any_date_have_an_etag_and_are_listed(store: FolderStore, tmp_path: Path, ns: int) -> None:
    file = tmp_path / "inbox" / "a.jpg"
    file.write_text("x")
    os.utime(file, ns=(ns, ns))
    (info,) = store.list("inbox")
    assert info.ref.etag == f"{ns:x}-1"
    assert len(info.sequence) == 32
    assert info.changed == pytest.approx(time.time(), abs=60)  # the date was set by a program just now


def test_the_etag_outlives_a_copy(store: FolderStore, tmp_path: Path) -> None:
    put = store.put("inbox", "a.jpg", io.BytesIO(b"x"))
    shutil.copytree(tmp_path / "inbox", tmp_path / "copy")
    copied = FolderStore({"inbox": tmp_path / "copy"}).stat("inbox", "a.jpg")
    assert copied == put
    assert (tmp_path / "copy" / "a.jpg").stat().st_ino != (tmp_path / "inbox" / "a.jpg").stat().st_ino


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


def test_metadata_is_of_one_version_and_follows_a_copy_of_the_folder(tmp_path: Path) -> None:
    for name in ("inbox", "own"):
        (tmp_path / name).mkdir()
    store = FolderStore({"inbox": tmp_path / "inbox"}, elsewhere=tmp_path / "own")
    user = UserMetadata("cat.jpg", "7", (("title", "Größe"),))
    store.put("inbox", "uploads/a.jpg", io.BytesIO(b"x"), user_metadata=user)
    assert not list((tmp_path / "inbox").iterdir())
    beside = tmp_path / "own" / ".wildtag" / ".metadata" / "uploads" / "a.jpg.json"
    assert beside.is_file()
    assert [info.ref.key for info in store.list("inbox")] == ["uploads/a.jpg"]

    shutil.copytree(tmp_path / "own", tmp_path / "copied")
    copied = FolderStore({"inbox": tmp_path / "inbox"}, elsewhere=tmp_path / "copied")
    file = tmp_path / "copied" / "uploads" / "a.jpg"
    whole = int(file.stat().st_mtime)
    os.utime(file, (whole, whole))  # as a file system of whole seconds keeps it
    assert copied.get("inbox", "uploads/a.jpg", 9)[1].user_metadata == user

    (tmp_path / "own" / "uploads" / "a.jpg").write_bytes(b"another")
    assert store.get("inbox", "uploads/a.jpg", 9)[1].user_metadata is None
    beside.write_bytes(b"{")
    assert store.get("inbox", "uploads/a.jpg", 9)[0] == b"another"
    store.remove("inbox", "uploads/a.jpg")
    assert not beside.exists()
