"""The archive follows captions slice by slice. Steps may be lost, repeated or done twice: each image counts once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from vectordb.image_folder import FolderImages
from vectordb.images import ImageEntry, ImageIndex
from workers.images import archive as archive_of
from workers.images import image_requests
from workers.images.archive import Archive, RemoteArchive, StalledJobs
from workers.images.backlog import Backlog
from workers.images.follow_jobs import GOES_ON_S, PREPARED_S, FollowJobs
from workers.images.open_images import OpenImages
from workers.lifecycle.inbox import LowPriorityInbox
from workers.redis.connection import Client, text
from workers.redis.keys import Keys
from workers.redis.rpc import RpcClient, RpcTimeout, RpcTransient, answering

DIMENSION, VERSION = 8, "s@1"


class World:
    """The owner of an index, and its queue. ``lost``: the number of messages that are lost next."""

    def __init__(self, client: Client, keys: Keys, home: Path) -> None:
        self.now, self.lost, self.away = 1000.0, 0, False
        self.client, self.keys = client, keys
        self.queue: list[str] = []
        self.jobs = FollowJobs(client, keys, lambda: self.now)
        self.images = OpenImages(lambda: FolderImages(home), "space", DIMENSION)
        self.marked = 0  # how often what is in progress was marked
        self.archive = Archive(lambda: self.images, self.jobs, lambda: self, lambda: None, self.mark)
        self.inbox = LowPriorityInbox(client, keys)
        self.backlog = Backlog(client, keys, self.inbox)
        self.remote = RemoteArchive(RpcClient(self, client, keys, 0.2), self.jobs, self, 0.3)
        self.stalled = StalledJobs(self.jobs, self)
        self.threaded = True

    def ask(self, queue: str, task: str, request: str, data: bytes, label: str, lifetime: float) -> None:  # noqa: ARG002 -- the Protocol's
        if task == image_requests.TASK:
            if not self.away:
                index = self.images.index()
                answering(self.client, self.keys, request, lambda: answer(index, data))
            return
        self.queue.append(data.decode())
        if self.threaded:
            self.work()

    def mark(self) -> None:
        self.marked += 1

    def work(self) -> None:
        """Handle what is on the queue."""
        while self.queue:
            name = self.queue.pop(0)
            if self.lost:
                self.lost -= 1
            else:
                before, self.threaded = self.threaded, False
                self.archive.step(name)
                self.threaded = before

    def fill(self, count: int) -> list[str]:
        """Every other image has room for any caption. Returns the objects that a caption concerns."""
        rng = np.random.default_rng(1)
        entries = [
            ImageEntry("inbox", f"{n}.jpg", "e", VERSION, *((-2.0, -2.0) if n % 2 else (2.0, 2.0)))
            for n in range(count)
        ]
        self.images.use(lambda index: index.put(entries, rng.normal(size=(count, DIMENSION)).astype(np.float32)))
        return sorted(entry.object_id for entry in entries if entry.floor < 0)

    def queued(self) -> list[str]:
        """The objects that are to be tagged again, each as often as it waits."""
        self.inbox.prepare()
        found: list[str] = []
        while True:
            self.backlog.step()
            events = self.inbox.read("me", 10_000, None)
            if not events:
                return sorted(found)
            found += [event.id for _, event in events]
            self.inbox.done([entry for entry, _ in events])


def answer(index: ImageIndex, data: bytes) -> bytes:
    return msgspec.msgpack.encode(image_requests.answer(index, image_requests.decode(data)))


@pytest.fixture
def world(client: Client, keys: Keys, tmp_path: Path) -> Iterator[World]:
    made = World(client, keys, tmp_path)
    yield made
    made.images.close()


CAPTIONS = np.eye(DIMENSION, dtype=np.float32)[:2]


def test_images_are_compared_in_slices_once_and_each_is_queued_once(world: World) -> None:
    expected = world.fill(3000)
    scanned: list[int] = []
    index = world.images.index()
    concerned = index.concerned

    def counted(*args: object) -> object:
        scanned.append(len(args[3]))  # type: ignore[arg-type]  # the ids
        return concerned(*args)  # type: ignore[arg-type]  # as called

    index.concerned = counted  # type: ignore[method-assign,assignment]  # counts
    following = world.remote.following(VERSION)
    following.before(CAPTIONS)
    assert scanned == []  # nothing is compared before the captions change
    assert world.jobs.unfinished() == 1
    followed = following.finish()
    assert (followed.images, followed.counts, followed.complete) == (1500, (1500, 1500), True)
    assert sum(scanned) == 2 * 3000, "each image once for each caption"
    assert len(scanned) > 2
    assert world.jobs.unfinished() == 0
    assert world.marked == 1
    assert world.queued() == expected


def test_counting_queues_nothing(world: World) -> None:
    world.fill(3000)
    following = world.remote.following(VERSION, dry=True)
    following.before(CAPTIONS)
    assert following.finish().counts == (1500, 1500)
    assert world.marked == 0
    world.now += 10 * PREPARED_S
    world.stalled.step()
    assert (world.queued(), world.jobs.unfinished()) == ([], 0)


def test_steps_that_are_repeated_or_done_twice_at_once_change_nothing(world: World) -> None:
    expected = world.fill(3000)
    world.threaded = False
    following = world.remote.following(VERSION)
    following.before(CAPTIONS)
    assert not following.finish().complete  # the owner is busy
    world.queue *= 3
    world.work()
    (name,) = [text(key).rpartition(":")[2] for key in world.client.keys("*follow:*")]
    world.archive.step(name)
    job = world.jobs.read(name)
    assert (job.images, job.done) == (1500, True)
    assert world.backlog.waiting() == 1500
    assert world.queued() == expected


@pytest.mark.parametrize("lost", [1, 2])
def test_a_job_whose_message_is_lost_goes_on(world: World, lost: int) -> None:
    """With the worker, or with whoever has taught the caption."""
    expected = world.fill(3000)
    following = world.remote.following(VERSION)
    following.before(CAPTIONS)
    if lost == 1:  # the first message
        world.lost = 1
    else:  # one in the middle
        world.threaded = False
        following.finish()
        world.archive.step(world.queue.pop())
        world.queue.clear()
        world.threaded = True
    if lost == 1:
        assert not following.finish().complete
    world.stalled.step()
    assert world.jobs.unfinished() == 1, "it is not late yet"
    world.now += GOES_ON_S + 1
    world.stalled.step()
    assert world.jobs.unfinished() == 0
    assert world.queued() == expected


def test_captions_whose_teacher_was_killed_after_they_were_added_are_followed(world: World) -> None:
    expected = world.fill(300)
    world.remote.following(VERSION).before(CAPTIONS)
    world.stalled.step()
    assert world.jobs.unfinished() == 1
    world.now += PREPARED_S + 1
    world.stalled.step()
    assert world.queued() == expected


def test_without_an_owner_nothing_is_begun(world: World) -> None:
    world.away = True
    with pytest.raises(RpcTimeout):
        world.remote.following(VERSION).before(CAPTIONS)
    assert world.jobs.unfinished() == 0


def test_without_captions_nothing_is_asked(world: World) -> None:
    world.away = True
    following = world.remote.following(VERSION)
    following.before(CAPTIONS[:0])
    assert following.finish() == archive_of.Followed(0, ())


def test_a_fault_of_the_index_is_told_and_the_job_stays(world: World, tmp_path: Path) -> None:
    world.fill(10)
    counting, following = world.remote.following(VERSION, dry=True), world.remote.following(VERSION)
    counting.before(CAPTIONS)
    following.before(CAPTIONS)
    world.images.close()
    (tmp_path / "space").rename(tmp_path / "aside")
    (tmp_path / "space").write_text("in the way")
    with pytest.raises(RpcTransient):
        counting.finish()
    assert not following.finish().complete
    (tmp_path / "space").unlink()
    (tmp_path / "aside").rename(tmp_path / "space")
    world.now += GOES_ON_S + 1
    world.stalled.step()
    assert world.jobs.unfinished() == 0
    assert len(world.queued()) == 5
