"""Objects that are tagged again while their share or server is away keep their records, and are tagged later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks.message_parts import ObjectRef
from tests.contract.dispatch.dispatching_world import REVISION, World, created, made_of
from workers.dispatch.folder_mounts import FolderMounts
from workers.dispatch.interrupted import Interrupted
from workers.dispatch.reconcile import Sweep
from workers.dispatch.removals import Hold, Holds, Limits, RemovalGuard
from workers.dispatch.sweeper import Sweeper
from workers.lifecycle.event import ObjectEvent
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.segmentation.requests import SegmentationRequests
from workers.stages.fetching import fetch

NAMES = ["0.jpg", "1.jpg", "2.jpg"]


@dataclass
class Place:
    """Three tagged objects. ``mounts``: of a folder; ``None`` as for a server, whose bucket may be empty."""

    world: World
    client: Client
    keys: Keys
    root: Path
    mounts: FolderMounts | None

    def __post_init__(self) -> None:
        world, self.holds = self.world, Holds(self.client, self.keys)
        world.guard = RemovalGuard(
            world.store, world.records, self.holds, self.client, self.keys, Limits(), lambda: world.now, self.mounts
        )
        self.refs = [world.put(name, name.encode()) for name in NAMES]
        world.inbox.append([created(ref) for ref in self.refs])
        self.dispatch()
        for ref in self.taken():
            world.finish(ref)
        self.sweep()

    def dispatch(self) -> None:
        while self.world.dispatcher().step(block_ms=1):
            pass

    def taken(self) -> list[ObjectRef]:
        """What is on the queue, each started by a worker."""
        refs = list(self.world.queues.refs)
        self.world.queues.refs.clear()
        now = self.world.now
        self.world.ledger.advance(refs, REVISION, "embedding", now + 60, now=now, begin=True)
        return refs

    def work(self) -> None:
        """A worker fetches what is queued, the dispatcher takes what it reports, and the keeper comes too late."""
        changed = fetch(self.world.store, self.taken(), 1000, lambda _: True).changed
        self.world.inbox.append([event for _, event in changed])
        self.dispatch()
        self.world.health.beat("embedding")
        self.world.now += 59
        self.world.health.beat("embedding")
        self.world.now += 2
        self.world.keeper().step()

    def sweep(self, *, confirmed: bool = False) -> Sweep:
        sweeper = Sweeper(
            self.world.store, "inbox", self.world.records, self.world.inbox, self.client, self.keys, self.holds,
            confirmed=confirmed, mounts=self.mounts,
        )  # fmt: skip
        while not sweeper.step(60):
            pass
        self.dispatch()
        return sweeper.progress

    def retag(self, *names: str) -> None:
        self.world.later.append([ObjectEvent("created", "inbox", name, force=True) for name in names])
        self.dispatch()

    def unmount(self) -> None:
        self.root.rename(self.root.with_name("away"))
        self.root.mkdir()

    def mount(self) -> None:
        self.root.rmdir()
        self.root.with_name("away").rename(self.root)

    def states(self) -> list[str]:
        return [record.state for record in self.world.records.latest()]

    @property
    def hold(self) -> Hold | None:
        return self.holds.of("inbox")


@pytest.fixture(params=["folder", "server"])
def place(request: pytest.FixtureRequest, client: Client, keys: Keys, tmp_path: Path) -> Place:
    world = made_of(client, keys, tmp_path)
    mounts = FolderMounts(client, keys, world.store.mount) if request.param == "folder" else None  # type: ignore[attr-defined]
    return Place(world, client, keys, tmp_path / "inbox", mounts)


def test_it_keeps_its_record_and_is_tagged_again_when_it_is_back(place: Place) -> None:
    feed = place.world.records.feed_end()
    place.retag(*NAMES[:2])
    place.unmount()
    place.retag(NAMES[2])  # not sent yet
    for _ in range(4):
        place.work()
        assert place.states() == ["done"] * 3
    assert place.world.ledger.in_flight() == 0
    assert place.sweep().gone == 0
    assert place.hold is not None
    place.mount()
    assert place.sweep().sent == 3
    assert place.hold is None
    refs = place.taken()
    assert sorted(ref.key for ref in refs) == NAMES
    assert place.world.records.feed_end() == feed
    for ref in refs:
        place.world.finish(ref)
    assert place.sweep().sent == 0


def test_removals_that_are_confirmed_are_carried_out(place: Place) -> None:
    place.retag(*NAMES)
    place.unmount()
    place.work()
    assert place.states() == ["done"] * 3
    place.sweep(confirmed=True)
    assert (place.states(), place.world.ledger.in_flight(), place.hold) == ([], 0, None)
    assert list(Interrupted(place.client, place.keys).pages("inbox")) == []


def test_one_without_a_record_is_reported_as_removed_and_entered_again(place: Place) -> None:
    new = place.world.put("new.jpg")
    place.world.inbox.append([created(new)])
    place.retag(NAMES[0])
    place.unmount()
    for _ in range(4):
        place.work()
    assert place.states() == ["done"] * 3
    assert place.world.ledger.in_flight() == 0
    (told,) = place.world.records.feed_page("0-0", 100)[3:]
    assert (told.oid, told.record) == (new.id, None)
    place.mount()
    place.sweep()
    assert sorted(ref.key for ref in place.taken()) == [NAMES[0], "new.jpg"]


def test_the_only_one_in_progress_is_held(place: Place) -> None:
    place.retag(NAMES[0])
    place.unmount()
    place.work()
    assert place.states() == ["done"] * 3
    assert place.hold is not None


def test_one_that_waits_for_segmentation_gives_up_its_place_and_gets_it_later(place: Place) -> None:
    SegmentationRequests(place.client, place.keys).ask(["inbox/0.jpg"], "regions")
    place.world.inbox.append([created(place.refs[0])])
    place.unmount()
    place.dispatch()
    assert (place.world.records.counts()["segments"], place.world.ledger.segmenting()) == (0, 0)
    assert place.states() == ["done"] * 3
    place.mount()
    place.sweep()
    assert place.world.ledger.segmentation_methods(place.taken()) == ["regions"]


def test_a_retag_removes_nothing_that_a_comparison_holds(place: Place) -> None:
    names = [f"more{number:02}.jpg" for number in range(60)]
    place.world.inbox.append([created(place.world.put(name, name.encode())) for name in names])
    place.dispatch()
    for ref in place.taken():
        place.world.finish(ref)
    for name in names:
        place.world.store.remove("inbox", name)
    assert place.sweep().gone == 0  # the bucket lists three others
    place.retag(*names[:5])
    assert place.world.records.count_in("inbox") == 63
