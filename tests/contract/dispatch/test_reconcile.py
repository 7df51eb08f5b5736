"""The sweep over a real Redis and a real folder: what it finds, reports twice, and where it resumes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.message_parts import ObjectRef, Revision, Tag
from tests.contract.sweeping import Breaking, swept
from workers.dispatch import retag
from workers.dispatch.reconcile import Sweep
from workers.dispatch.removals import Holds
from workers.dispatch.sweeper import BACKLOG, Sweeper, SweepRunning
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import PAGE, Records
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.stores.folder import FolderStore
from workers.stores.store import ObjectInfo, StoreAway

OLD, NEW = Revision("space", "captions@1"), Revision("space", "captions@2")


@dataclass
class World:
    """A bucket with its records."""

    store: FolderStore
    client: Client
    keys: Keys
    inbox: Inbox
    later: Inbox
    ledger: Ledger
    records: Records

    def put(self, key: str, data: bytes = b"x") -> ObjectRef:
        return self.store.put("inbox", key, io.BytesIO(data)).ref

    def many(self, count: int) -> list[str]:
        """Put so many objects; gives their keys in order."""
        names = [f"{number:05}.jpg" for number in range(count)]
        for name in names:
            (self.store._roots["inbox"] / name).write_bytes(b"x")
        return names

    def enter(self, *refs: ObjectRef, revision: Revision = OLD) -> None:
        self.ledger.enter([Arrival(ref, verified=True) for ref in refs], revision, 1.0, 9.0)

    def tag(self, *refs: ObjectRef, labels: tuple[str, ...] = ("cat",), revision: Revision = OLD) -> None:
        self.enter(*refs, revision=revision)
        tags = tuple(Tag(label, 0.5, 0.5, 0.5) for label in labels)
        self.ledger.finish([
            Record(bucket=ref.bucket, key=ref.key, etag=ref.etag, state="done", tags=tags,
                   space_id=revision.space_id, captions_version=revision.captions_version)
            for ref in refs
        ], 2.0)  # fmt: skip

    def sweeper(self, **more: Any) -> Sweeper:
        holds = Holds(self.client, self.keys)
        return Sweeper(self.store, "inbox", self.records, self.inbox, self.client, self.keys, holds, **more)

    def inbox_events(self, inbox: Inbox | None = None) -> list[tuple[str, str]]:
        read = (inbox or self.inbox).read("me", 10_000, None)
        (inbox or self.inbox).done([entry for entry, _ in read])
        return [(event.kind, event.key) for _, event in read]


@pytest.fixture
def world(client: Client, keys: Keys, tmp_path: Path) -> World:
    (tmp_path / "inbox").mkdir()
    inbox, later = Inbox(client, keys.inbox), Inbox(client, keys.low_priority_inbox)
    inbox.prepare()
    later.prepare()
    return World(
        FolderStore({"inbox": tmp_path / "inbox"}), client, keys, inbox, later, Ledger(client, keys, 100),
        Records(client, keys),
    )  # fmt: skip


def test_what_is_missing_changed_and_gone_is_told_and_nothing_else(world: World) -> None:
    refs = {key: world.put(key) for key in ("a.jpg", "b/c.jpg", "b.jpg", "z.jpg", "é/ü.jpg", "changed.jpg")}
    world.tag(*refs.values())
    world.put("changed.jpg", b"other")
    world.put("new.jpg")
    for key in ("b.jpg", "z.jpg", "é/ü.jpg"):  # within, at the end of, and after the bucket's keys
        world.store.remove("inbox", key)
    told = swept(world.store, "inbox", world.client, world.keys)
    assert (told.seen, told.sent, told.gone) == (4, 2, 3)
    assert sorted(world.inbox_events()) == [
        ("created", "changed.jpg"), ("created", "new.jpg"), ("removed", "b.jpg"), ("removed", "z.jpg"),
        ("removed", "é/ü.jpg"),
    ]  # fmt: skip


def test_of_a_mass_deletion_only_so_much_is_told_at_a_time(world: World) -> None:
    count = 2 * PAGE + 100
    world.tag(*(ObjectRef("inbox", f"gone/{number:05}.jpg", "e") for number in range(count)))
    world.tag(world.put("a.jpg"), world.put("z.jpg"))
    sweeper, before = world.sweeper(confirmed=True), Sweep()
    while not sweeper.step(0):
        assert sweeper.progress.gone - before.gone <= PAGE
        before = sweeper.progress
    assert (before.seen, before.sent, before.gone) == (2, 0, count)
    assert [kind for kind, _ in world.inbox_events()] == ["removed"] * count


def test_what_is_on_its_way_is_not_told_again(world: World) -> None:
    world.enter(world.put("a.jpg"))
    world.enter(world.put("b.jpg"))
    world.put("b.jpg", b"other")
    swept(world.store, "inbox", world.client, world.keys)
    assert world.inbox_events() == [("created", "b.jpg")]


def test_other_captions_are_no_reason_to_tag_again(world: World) -> None:
    world.tag(world.put("a.jpg"), revision=OLD)
    world.tag(world.put("b.jpg"), revision=NEW)
    swept(world.store, "inbox", world.client, world.keys)
    assert world.inbox_events() == []


def test_a_prefix_is_compared_alone(world: World) -> None:
    world.tag(world.put("in/gone.jpg"), world.put("out/gone.jpg"), world.put("inner.jpg"))
    for key in ("in/gone.jpg", "out/gone.jpg", "inner.jpg"):
        world.store.remove("inbox", key)
    for key in ("in/new.jpg", "out/new.jpg"):
        world.put(key)
    swept(world.store, "inbox", world.client, world.keys, prefix="in/")
    assert sorted(world.inbox_events()) == [("created", "in/new.jpg"), ("removed", "in/gone.jpg")]


def test_a_pass_that_is_interrupted_goes_on_where_it_was(world: World, client: Client, keys: Keys) -> None:
    names = world.many(1100)
    root = world.store._roots["inbox"]
    broken = World(Breaking({"inbox": root}), client, keys, world.inbox, world.later, world.ledger, world.records)
    with pytest.raises(KeyboardInterrupt):
        broken.sweeper().step(60)
    first = world.inbox_events()
    client.delete(keys.lock("reconcile:inbox"))  # its holder is dead; the lock would have gone in a minute
    sweeper = world.sweeper()
    assert sweeper.step(60)
    assert [key for _, key in [*first, *world.inbox_events()]] == names
    assert client.exists(keys.reconcile("inbox"), keys.lock("reconcile:inbox")) == 0


def test_a_pass_goes_on_where_it_was_when_the_store_was_away(world: World, client: Client, keys: Keys) -> None:
    asked: list[str] = []

    class Blinking(FolderStore):
        def list(self, bucket: str, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
            asked.append(after)
            for number, info in enumerate(super().list(bucket, prefix, after)):
                if number == PAGE + 200 and len(asked) == 1:
                    raise StoreAway("503")
                yield info

    names = world.many(3 * PAGE)
    blinking = World(
        Blinking(world.store._roots), client, keys, world.inbox, world.later, world.ledger, world.records
    )
    sweeper = blinking.sweeper(resume=False)
    with pytest.raises(StoreAway):
        sweeper.step(60)
    assert client.exists(keys.lock("reconcile:inbox")) == 0
    assert sweeper.step(60)
    assert asked == ["", names[PAGE - 1]]
    assert sweeper.progress.seen == 3 * PAGE
    assert [key for _, key in world.inbox_events()] == names
    assert sweeper.step(60)  # and the next one begins at the beginning
    assert asked[2:] == [""]
    assert sweeper.progress.seen == 3 * PAGE


@pytest.mark.parametrize("resume", [False, True])
def test_a_pass_comes_back_to_what_it_had_seen_and_no_further(world: World, resume: bool) -> None:
    names = world.many(3 * PAGE)
    world.tag(*(info.ref for info in world.store.list("inbox")))
    sweeper = world.sweeper(resume=resume)
    sweeper.rescan()  # nothing is under way
    assert not sweeper.step(0)
    world.store.remove("inbox", names[1])
    world.store.remove("inbox", names[-1])
    sweeper.rescan()
    assert not sweeper.step(0)
    sweeper.rescan()  # up to the second page, now
    world.put(names[PAGE + 1], b"changed")
    assert sweeper.step(60)
    assert sorted(world.inbox_events()) == [
        ("created", names[PAGE + 1]),
        ("removed", names[1]),
        ("removed", names[-1]),
    ]
    assert 5 * PAGE - 3 <= sweeper.progress.seen <= 6 * PAGE - 3  # it ends with a page
    sweeper.rescan()
    assert sweeper.step(60)
    assert sweeper.progress.seen == 3 * PAGE - 2


def test_a_rate_holds_a_pass_to_so_many_objects_a_second(world: World) -> None:
    now = 0.0
    names = world.many(2 * PAGE)
    world.tag(*(ObjectRef("inbox", f"zz/{number:05}.jpg", "e") for number in range(PAGE)))
    sweeper = world.sweeper(confirmed=True, rate=100.0, clock=lambda: now)
    for page in range(3):  # two of objects, one of records of what is gone
        assert not sweeper.step(60)
        assert sweeper.progress.seen + sweeper.progress.gone == (page + 1) * PAGE
        now += PAGE / 100 - 0.1
        assert not sweeper.step(60)
        assert sweeper.progress.seen + sweeper.progress.gone == (page + 1) * PAGE
        now += 0.2
    assert sweeper.step(60)
    assert len(world.inbox_events()) == len(names) + PAGE


def test_two_at_once_do_no_harm(world: World) -> None:
    world.put("a.jpg")
    first, second = world.sweeper(), world.sweeper()
    first._claim()
    with pytest.raises(SweepRunning, match="inbox"):
        second.step(1)
    assert first.step(1)
    assert second.step(1)


def test_a_pass_waits_while_the_inbox_is_full(world: World, client: Client) -> None:
    world.put("a.jpg")
    pipe = client.pipeline()
    for _ in range(BACKLOG + 1):
        pipe.xadd("test:inbox", {"event": b""})
    pipe.execute()
    sweeper = world.sweeper()
    assert not sweeper.step(5)
    assert sweeper.progress.seen == 0
    client.xtrim("test:inbox", maxlen=0)
    assert sweeper.step(5)
    assert sweeper.progress.seen == 1


def test_objects_are_selected_for_tagging_again_by_everything_that_is_given(world: World) -> None:
    world.tag(world.put("a/1.jpg"), world.put("a/2.jpg"), labels=("cat", "dog"))
    world.tag(world.put("b/1.jpg"), labels=("cat",), revision=NEW)

    def chosen(**which: str) -> list[str]:
        pages = retag.selected(world.records, retag.Selection("inbox", **which))  # type: ignore[arg-type]  # as above
        return sorted(key for page in pages for key in page)

    assert chosen() == ["a/1.jpg", "a/2.jpg", "b/1.jpg"]
    assert chosen(prefix="a/") == chosen(tag="dog") == chosen(captions_version="captions@1") == ["a/1.jpg", "a/2.jpg"]
    assert chosen(captions_version="captions") == ["a/1.jpg", "a/2.jpg", "b/1.jpg"]
    assert chosen(other_than="captions@1") == ["b/1.jpg"]
    assert chosen(tag="cat", prefix="b/") == ["b/1.jpg"]
    assert chosen(tag="cat", state="failed") == []


def test_tagging_again_waits_its_turn_and_tells_how_far_it_is(world: World) -> None:
    seen: list[int] = []

    def wait(done: int) -> None:
        seen.append(done)
        read = world.later.read("me", 700, None)
        assert all(event.force and not event.etag for _, event in read)
        world.later.done([entry for entry, _ in read])

    pages = iter([[f"{page}/{number}.jpg" for number in range(500)] for page in range(4)])
    assert retag.retag(pages, "inbox", world.later, wait) == 2000
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert world.later.length() == 0
