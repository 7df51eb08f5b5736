"""Links that are swapped in while the folder store works never lead it outside of its folder."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workers.events.folder_notifications import notifications
from workers.stores.folder import FolderStore
from workers.stores.folder_descent import Descent
from workers.stores.store import ObjectError, ObjectForbidden, StoreAway

SECRET = b"a secret of another folder"
RACE_S = 1.0  # of each race; with a check of the path followed by its use, one of a few hundred tries led outside
SWAPPER = """
import ctypes, os, sys
one, other, parent = os.fsencode(sys.argv[1]), os.fsencode(sys.argv[2]), os.getppid()
libc = ctypes.CDLL(None)
while os.getppid() == parent:
    for _ in range(1000):
        libc.renameat2(-100, one, -100, other, 2)  # RENAME_EXCHANGE: a name always exists, as file or as link
"""


class Scene:
    """``inbox/album/a.jpg`` and, outside, ``private/a.jpg``; ``race`` swaps a name for a link to outside."""

    def __init__(self, folder: Path) -> None:
        self.inbox, self.private = folder / "inbox", folder / "private"
        (self.inbox / "album").mkdir(parents=True)
        self.private.mkdir()
        (self.inbox / "album" / "a.jpg").write_bytes(b"a picture")
        (self.private / "a.jpg").write_bytes(SECRET)
        (self.private / "only here.jpg").write_bytes(SECRET)
        self.store = FolderStore({"inbox": self.inbox})

    @contextlib.contextmanager
    def swapped(self, name: str, target: Path) -> Iterator[None]:
        """Swap a file or folder of the inbox for a link and back, as fast as it goes."""
        link = self.inbox.parent / "link"
        link.symlink_to(target)
        process = subprocess.Popen([sys.executable, "-c", SWAPPER, str(self.inbox / name), str(link)])
        try:
            yield
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def race(work: Callable[[], object]) -> int:
    """Try until the time is over. Returns how often it worked."""
    end, worked = time.monotonic() + RACE_S, 0
    while time.monotonic() < end:
        with contextlib.suppress(ObjectError, StoreAway):
            work()
            worked += 1
    return worked


@pytest.mark.parametrize(("name", "target"), [("album/a.jpg", "a.jpg"), ("album", ".")])
def test_reading_while_a_link_is_swapped_in(scene: Scene, name: str, target: str) -> None:
    def read() -> None:
        assert scene.store.get("inbox", "album/a.jpg", 100)[0] != SECRET

    with scene.swapped(name, scene.private / target):
        assert race(read)


def test_looking_while_a_link_is_swapped_in(scene: Scene) -> None:
    """Not even the size of a file outside is learnt."""

    def look() -> None:
        info = scene.store.stat("inbox", "album/a.jpg")
        assert info is None or info.ref.size != len(SECRET)

    with scene.swapped("album", scene.private):
        assert race(look)


def test_writing_while_a_link_is_swapped_in(scene: Scene) -> None:
    with scene.swapped("album", scene.private):
        assert race(lambda: scene.store.put("inbox", "album/new.jpg", io.BytesIO(b"mine")))
        race(lambda: scene.store.put("inbox", "album/deep/new.jpg", io.BytesIO(b"mine")))
    assert sorted(path.name for path in scene.private.iterdir()) == ["a.jpg", "only here.jpg"]


def test_removing_while_a_link_is_swapped_in(scene: Scene) -> None:
    with scene.swapped("album", scene.private):
        assert race(lambda: scene.store.remove("inbox", "album/a.jpg"))
    assert (scene.private / "a.jpg").exists()


def test_listing_while_a_link_is_swapped_in(scene: Scene) -> None:
    def list_() -> None:
        assert "album/only here.jpg" not in {info.ref.key for info in scene.store.list("inbox")}

    with scene.swapped("album", scene.private):
        assert race(list_)


def test_listing_output_while_a_link_is_swapped_in(scene: Scene) -> None:
    scene.store.put("inbox", ".wildtag/segments/a.json", io.BytesIO(b"{}"))

    def list_() -> None:
        keys = {info.ref.key for info in scene.store.list("inbox", ".wildtag/")}
        assert ".wildtag/segments/only here.jpg" not in keys

    with scene.swapped(".wildtag/segments", scene.private):
        assert race(list_)


def test_watching_while_a_link_is_swapped_in(scene: Scene) -> None:
    """A watch on a folder outside would name the files in it."""
    with scene.swapped("album", scene.private):
        end = time.monotonic() + RACE_S
        while time.monotonic() < end:
            with notifications(scene.store.walk("inbox")) as source:
                (scene.private / "only here.jpg").touch()
                assert source is not None
                assert "album/only here.jpg" not in source.read(0).touched


@pytest.mark.parametrize("by_kernel", [True, False])
def test_every_way_out_is_refused(scene: Scene, tmp_path: Path, by_kernel: bool) -> None:
    """With ``openat2``, and as it is done where that is missing."""
    descent = Descent(scene.inbox, by_kernel=by_kernel)
    (scene.inbox / "absolute").symlink_to(scene.private / "a.jpg")
    (scene.inbox / "relative").symlink_to("../private/a.jpg")
    (scene.inbox / "folder").symlink_to("../private")
    (scene.inbox / "chain").symlink_to("folder/a.jpg")
    (scene.inbox / "process").symlink_to(f"/proc/self/fd/{os.open(scene.private, os.O_RDONLY)}/a.jpg")
    (scene.inbox / "beside").symlink_to("../inbox-2/a.jpg")  # a name that begins with that of the inbox
    (tmp_path / "inbox-2").mkdir()
    (tmp_path / "inbox-2" / "a.jpg").write_bytes(SECRET)
    for name in ("absolute", "relative", "folder/a.jpg", "chain", "process", "beside"):
        with pytest.raises(ObjectForbidden, match="leads outside"), descent.opened(name, os.O_RDONLY):
            pass
    with pytest.raises(ObjectForbidden), descent.parent("folder/new/b.jpg", make=True):
        pass
    assert sorted(path.name for path in scene.private.iterdir()) == ["a.jpg", "only here.jpg"]


@pytest.mark.parametrize("by_kernel", [True, False])
def test_links_to_places_inside_are_followed(scene: Scene, by_kernel: bool) -> None:
    descent = Descent(scene.inbox, by_kernel=by_kernel)
    (scene.inbox / "absolute").symlink_to(scene.inbox / "album" / "a.jpg")
    (scene.inbox / "folder").symlink_to(scene.inbox / "album")
    (scene.inbox / "album" / "up").symlink_to("../album/a.jpg")
    for name in ("absolute", "folder/a.jpg", "album/up"):
        with descent.opened(name, os.O_RDONLY) as opened:
            assert os.read(opened, 100) == b"a picture"
    with pytest.raises(FileNotFoundError), descent.opened("album/none.jpg"):
        pass


def test_this_kernel_is_asked_for_the_swap() -> None:
    assert ctypes.CDLL(None).renameat2  # otherwise the races above would swap nothing
