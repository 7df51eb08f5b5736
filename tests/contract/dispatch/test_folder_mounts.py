"""A folder that is empty because its share is not mounted keeps its records, although uploads elsewhere are there."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.dispatch.dispatching_world import REVISION, World, made_of
from workers.dispatch.folder_mounts import FolderMounts
from workers.dispatch.removals import Hold, Holds, Limits, RemovalGuard
from workers.dispatch.sweeper import Sweeper
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.ledger import Arrival
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.stores.folder import FolderStore
from workers.stores.folder_mount import identity_of

PHOTOS = [f"{number}.jpg" for number in range(5)]
UPLOADS = [f"uploads/{number}.jpg" for number in range(60)]


@dataclass
class Archive:
    """A read-only archive with five photographs, and sixty uploads in another folder."""

    world: World
    client: Client
    keys: Keys
    root: Path

    def __post_init__(self) -> None:
        self.store = FolderStore({"inbox": self.root}, elsewhere=self.root.with_name("output"))
        self.mounts = FolderMounts(self.client, self.keys, self.store.mount)
        self.holds = Holds(self.client, self.keys)
        self.world.store = self.store
        self.within(Limits())

    def within(self, limits: Limits) -> None:
        """Set the limits of sweeper and dispatcher."""
        self.limits = limits
        self.world.guard = RemovalGuard(
            self.store, self.world.records, self.holds, self.client, self.keys, limits, lambda: self.world.now,
            self.mounts,
        )  # fmt: skip

    def sweep(self, *, confirmed: bool = False, prefix: str = "") -> int:
        """Number of records that are left after a pass and what follows from it."""
        sweeper = Sweeper(
            self.store, "inbox", self.world.records, self.world.inbox, self.client, self.keys, self.holds,
            confirmed=confirmed, mounts=self.mounts, limits=self.limits, prefix=prefix,
        )  # fmt: skip
        while not sweeper.step(60):
            pass
        return self.dispatch()

    def dispatch(self) -> int:
        while self.world.dispatcher().step(block_ms=1):
            pass
        return self.world.records.count_in("inbox")

    def unmount(self) -> Path:
        away = self.root.rename(self.root.with_name(f"away-{self.root.stat().st_ino}"))
        self.root.mkdir()
        return away

    @property
    def hold(self) -> Hold | None:
        return next(iter(self.holds.active()), None)


@pytest.fixture
def archive(client: Client, keys: Keys, tmp_path: Path) -> Archive:
    made = Archive(made_of(client, keys, tmp_path), client, keys, tmp_path / "inbox")
    for name in PHOTOS:
        (made.root / name).write_bytes(name.encode())
    refs = [made.store.put("inbox", name, io.BytesIO(name.encode())).ref for name in UPLOADS]
    refs += [info.ref for name in PHOTOS if (info := made.store.stat("inbox", name))]
    made.world.ledger.enter([Arrival(ref, verified=True) for ref in refs], REVISION, 1.0, 9.0)
    for ref in refs:
        made.world.finish(ref)
    assert made.sweep() == 65
    return made


def test_records_are_kept_until_the_share_is_mounted_again(archive: Archive) -> None:
    feed = archive.world.records.feed_end()
    away = archive.unmount()
    assert archive.sweep() == 65
    hold = archive.hold
    assert hold is not None
    assert (hold.missing, hold.known) == (5, 65)
    assert "may not be mounted" in hold.summary
    archive.root.rmdir()
    away.rename(archive.root)
    assert archive.sweep() == 65
    assert archive.hold is None
    assert archive.world.records.feed_end() == feed


def test_files_that_are_removed_one_by_one_are_removed(archive: Archive) -> None:
    for name in PHOTOS:
        (archive.root / name).unlink()
    assert archive.sweep() == 60
    assert archive.hold is None


def test_a_share_with_files_is_trusted_wherever_it_is(archive: Archive) -> None:
    away = archive.unmount()
    (away / PHOTOS[0]).rename(archive.root / PHOTOS[0])  # another mount, and some files fewer
    assert archive.sweep() == 61
    archive.unmount()
    (archive.root / ".nomedia").touch()  # what lies at a mount point is no object
    assert archive.sweep() == 61


def test_removals_that_are_confirmed_end_the_distrust(archive: Archive) -> None:
    archive.unmount()
    archive.sweep()
    assert archive.sweep(confirmed=True) == 60
    archive.store.remove("inbox", UPLOADS[0])
    assert archive.sweep() == 59


def test_a_confirmation_for_a_prefix_trusts_no_folder(archive: Archive) -> None:
    archive.unmount()
    archive.store.remove("inbox", UPLOADS[0])
    assert archive.sweep(confirmed=True, prefix="uploads/") == 64
    assert archive.sweep() == 64
    assert archive.hold is not None
    archive.store.remove("inbox", UPLOADS[1])
    assert archive.sweep(confirmed=True, prefix="uploads/") == 63
    assert archive.hold is not None


def test_nothing_is_held_where_that_is_switched_off(archive: Archive) -> None:
    archive.within(Limits(hold=False))
    archive.unmount()
    assert archive.sweep() == 60
    assert archive.hold is None


def test_a_removal_that_is_reported_meanwhile_is_held(archive: Archive) -> None:
    archive.unmount()
    archive.world.inbox.append([ObjectEvent("removed", "inbox", PHOTOS[0], verified=True)])
    assert archive.dispatch() == 65
    assert archive.hold is not None


def test_the_identity_is_that_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "link").symlink_to("one")
    before = identity_of(tmp_path / "one")
    (tmp_path / "one" / "file").touch()
    assert identity_of(tmp_path / "link") == identity_of(tmp_path / "one") == before
    assert identity_of(tmp_path) != before
