"""Notifications of a real file system: what is told of files, folders, links and names that are no text."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.eventually import eventually
from workers.events.folder_notifications import FolderNotifications, Notified, notifications
from workers.events.folder_watch import follow
from workers.stores.folder import FolderStore
from workers.stores.folder_walk import FollowLinks, Walk
from workers.stores.key_patterns import SIDE_FILES, KeyPatterns


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


def walk(root: Path, links: FollowLinks = "none") -> Walk:
    return Walk(root, KeyPatterns(SIDE_FILES).match, links)


@pytest.fixture
def source(root: Path) -> Iterator[FolderNotifications]:
    with notifications(walk(root)) as opened:
        assert opened is not None
        yield opened


def told(source: FolderNotifications) -> Notified:
    """All that is told by now."""
    found = Notified()
    while (more := source.read(200)) != Notified():
        found.touched |= more.touched
        found.incomplete |= more.incomplete
    return found


def test_files_in_all_folders_are_told(source: FolderNotifications, root: Path) -> None:
    (root / "a.jpg").write_bytes(b"x")
    (root / "album" / "deep").mkdir(parents=True)
    (root / "album" / "deep" / "b.jpg").write_bytes(b"x")
    found = told(source)
    assert (set(found.touched), found.incomplete) == ({"a.jpg", "album/deep/b.jpg"}, False)
    (root / "album" / "deep" / "b.jpg").rename(root / "album" / "c.jpg")
    found = told(source)
    assert (set(found.touched), found.incomplete) == ({"album/deep/b.jpg", "album/c.jpg"}, True)


def test_a_folder_that_is_moved_in_is_told_with_its_files_and_watched(
    source: FolderNotifications, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "made" / "inner").mkdir(parents=True)
    (tmp_path / "made" / "inner" / "a.jpg").write_bytes(b"x")
    (tmp_path / "made").rename(root / "came")
    assert set(told(source).touched) == {"came/inner/a.jpg"}
    (root / "came").rename(root / "moved")
    found = told(source)
    assert (set(found.touched), found.incomplete) == ({"moved/inner/a.jpg"}, True)
    (root / "moved" / "inner" / "b.jpg").write_bytes(b"x")
    assert set(told(source).touched) == {"moved/inner/b.jpg"}
    shutil.rmtree(root / "moved")
    assert told(source).incomplete


def test_side_files_and_hidden_files_are_not_told(source: FolderNotifications, root: Path) -> None:
    for name in ("@eaDir", ".hidden", "#recycle"):
        (root / name).mkdir()
        (root / name / "a.jpg").write_bytes(b"x")
    for name in (".b.jpg", "Thumbs.db", "a.jpg.part", "a.jpg:Zone.Identifier"):
        (root / name).write_bytes(b"x")
    assert told(source) == Notified()


def test_a_name_that_is_not_utf_8_is_one_like_any_other(root: Path) -> None:
    """It is told at each of its events, and the watch goes on: nothing is compared again."""
    stop = threading.Event()
    store = FolderStore({"inbox": root})
    seen: list[str] = []
    sweeps = 0
    name = Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.jpg"))
    with capture_logs() as logs:
        for number, changes in enumerate(follow(store, "inbox", root, 0.05, stop)):
            seen += [event.key for event in changes.events]
            sweeps += changes.sweep
            if number == 0 or (len(seen) in {1, 2} and changes.events):
                name.write_bytes(b"x" * (len(seen) + 1))
            if len(seen) == 3:
                stop.set()
            assert number < 200
    assert seen == ["caf\\xe9.jpg"] * 3
    assert sweeps == 1
    assert logs == []


def test_links_to_folders_are_followed_as_the_setting_says(root: Path, tmp_path: Path) -> None:
    (root / "real").mkdir()
    (tmp_path / "archive").mkdir()
    (root / "inside").symlink_to("real")
    (root / "outside").symlink_to(tmp_path / "archive")
    (root / "real" / "loop").symlink_to(root)
    told_of: dict[str, set[str]] = {}
    settings: tuple[FollowLinks, ...] = ("none", "inside", "anywhere")
    for links in settings:
        with notifications(walk(root, links)) as opened:
            assert opened is not None
            for folder in (root / "real", tmp_path / "archive"):
                (folder / f"{links}.jpg").write_bytes(b"x")
            told_of[links] = set(told(opened).touched)
    assert told_of["none"] == {"real/none.jpg"}
    assert told_of["inside"] == {"real/inside.jpg", "inside/inside.jpg"}
    assert told_of["anywhere"] == {"real/anywhere.jpg", "inside/anywhere.jpg", "outside/anywhere.jpg"}


def test_a_link_that_comes_is_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    with notifications(walk(root, "anywhere")) as opened:
        assert opened is not None
        (root / "link").symlink_to(tmp_path / "archive")
        assert told(opened).incomplete
        (tmp_path / "archive" / "a.jpg").write_bytes(b"x")
        assert set(told(opened).touched) == {"link/a.jpg"}


def test_a_folder_that_is_replaced_is_watched_again(root: Path) -> None:
    stop = threading.Event()
    store = FolderStore({"inbox": root})
    sweeps: list[int] = []
    keys: list[str] = []

    def watch() -> None:
        for changes in follow(store, "inbox", root, 0.01, stop):
            sweeps.extend([1] if changes.sweep else [])
            keys.extend(event.key for event in changes.events)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        eventually(lambda: len(sweeps) == 1)
        root.rename(root.with_name("old"))
        root.mkdir()
        eventually(lambda: len(sweeps) >= 2)
        (root / "a.jpg").write_bytes(b"x")
        eventually(lambda: "a.jpg" in keys)
    finally:
        stop.set()
        thread.join(10)
