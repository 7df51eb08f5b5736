"""What looks like a mass deletion is held, over a real Redis and a real folder."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import pytest
from structlog.testing import capture_logs

from tasks.message_parts import ObjectRef
from tests.contract import real_servers
from tests.contract.dispatch.dispatching_world import REVISION, World, created
from tests.contract.dispatch.dispatching_world import world as world  # noqa: PLC0414 -- a fixture
from tests.contract.sweeping import Breaking, swept
from workers.dispatch.reconcile import Sweep
from workers.dispatch.removals import BURST_S, Hold, Holds, Limits
from workers.dispatch.sweeper import Sweeper
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import Records
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.stores.s3 import S3Store
from workers.stores.store import BucketMissing, ObjectInfo


class Bucket:
    """A bucket whose objects all have records, and what is done with it."""

    def __init__(self, world: World, client: Client, keys: Keys) -> None:
        self.world = world
        self.client = client
        self.keys = keys

    def fill(self, count: int, prefix: str = "") -> list[str]:
        names = [f"{prefix}{number:04}.jpg" for number in range(count)]
        refs = [self.world.put(name, name.encode()) for name in names]
        self.world.inbox.append([created(ref) for ref in refs])
        while self.world.dispatcher().step(block_ms=1):
            for ref in refs:
                if self.world.records.on_its_way(ref.id):
                    self.world.finish(ref)
        return names

    def lose(self, names: list[str], *, reported: bool = False) -> None:
        for name in names:
            self.world.store.remove("inbox", name)
        if reported:
            self.world.inbox.append([ObjectEvent("removed", "inbox", name) for name in names])

    def dispatch(self) -> None:
        while self.world.dispatcher().step(block_ms=1):
            pass

    def sweep(self, *, confirmed: bool = False, prefix: str = "") -> Sweep:
        found = swept(self.world.store, "inbox", self.client, self.keys, confirmed=confirmed, prefix=prefix)
        self.dispatch()
        return found

    @property
    def recorded(self) -> int:
        return self.world.records.count_in("inbox")

    @property
    def hold(self) -> Hold | None:
        return next(iter(Holds(self.client, self.keys).active()), None)

    def left(self) -> tuple[int, bool]:
        """Number of records, and whether removals are held."""
        return self.recorded, self.hold is not None


@pytest.fixture
def place(world: World, client: Client, keys: Keys) -> Bucket:
    return Bucket(world, client, keys)


# -- the sweep


@pytest.mark.parametrize("count", [1, 5, 60])
def test_a_bucket_that_is_suddenly_empty_keeps_its_records_until_its_objects_are_back(
    place: Bucket, count: int
) -> None:
    names = place.fill(count)
    etags = {record.key: record.etag for record in place.world.records.latest(count)}
    root = place.world.store._roots["inbox"]  # type: ignore[attr-defined]
    away = root.rename(root.with_name("away"))
    root.mkdir()  # what a mount point shows when its share is gone
    with capture_logs() as logged:
        for _ in range(3):
            assert place.sweep().gone == 0
    assert [line["event"] for line in logged].count("removals held") == 1
    hold = place.hold
    assert hold is not None
    assert (hold.missing, hold.known, place.recorded) == (count, count, count)
    assert "empty" in hold.summary
    assert "wildtag reconcile --confirm-removals" in hold.summary
    root.rmdir()
    away.rename(root)
    feed = place.world.records.feed_end()
    assert place.sweep() == Sweep(seen=count, after=names[-1])  # nothing is tagged again
    assert place.hold is None
    assert place.world.records.feed_page(feed, 10) == []
    assert {record.key: record.etag for record in place.world.records.latest(count)} == etags


def test_removals_that_are_confirmed_are_carried_out(place: Bucket) -> None:
    place.lose(place.fill(30))
    place.sweep()
    assert place.recorded == 30
    assert place.sweep(confirmed=True).gone == 30
    assert place.left() == (0, False)


@pytest.mark.parametrize(
    ("count", "lost", "held"),
    [(300, 19, False), (300, 20, False), (300, 31, True), (100, 19, False), (100, 20, True), (10, 9, False),
     (10, 10, True)],
)  # fmt: skip
def test_a_share_of_missing_objects_is_held(place: Bucket, count: int, lost: int, held: bool) -> None:
    names = place.fill(count)
    place.lose(names[:lost])
    assert place.sweep().gone == (0 if held else lost)
    assert place.left() == (count if held else count - lost, held)


def test_a_pass_over_a_few_removes_nothing_from_a_bucket_that_is_empty_or_held(place: Bucket) -> None:
    names = place.fill(30)
    place.lose(names)
    assert place.sweep(prefix=names[0]).gone == 0
    assert place.hold is not None
    place.sweep()
    hold = place.hold
    place.fill(1, "other-")
    assert place.sweep(prefix=names[0]).gone == 0
    assert place.hold == hold
    assert place.sweep(prefix=names[0], confirmed=True).gone == 1
    assert place.left() == (30, True)


def test_limits_are_settings() -> None:
    assert not Limits(0.5, 20).exceeded(50, 100)
    assert Limits(0.5, 20).exceeded(51, 100)
    assert Limits(0.1, 5).exceeded(6, 50)
    assert Limits(1.0, 1_000_000).exceeded(3, 3)
    assert not Limits().exceeded(0, 0)
    assert not Limits(hold=False).exceeded(100, 100)


def test_what_is_back_under_another_key_counts_as_moved(place: Bucket) -> None:
    names = place.fill(50)
    root = place.world.store._roots["inbox"]  # type: ignore[attr-defined]
    (root / "2026").mkdir()
    for name in names:
        (root / name).rename(root / "2026" / name)
    found = place.sweep()
    assert (found.gone, found.sent, place.hold) == (50, 50, None)
    assert place.recorded == 0  # the others are on their way


def test_side_files_that_an_earlier_version_has_tagged_are_not_missing(place: Bucket) -> None:
    place.fill(30)
    root = place.world.store._roots["inbox"]  # type: ignore[attr-defined]
    names = [f"@eaDir/{number}.jpg" for number in range(40)]
    (root / "@eaDir").mkdir()
    for name in names:
        (root / name).write_bytes(b"x")
        ref = ObjectRef("inbox", name, "an etag")
        place.world.ledger.enter([Arrival(ref, verified=True)], REVISION, 1.0, 9.0)
        place.world.finish(ref)
    assert place.sweep() == Sweep(seen=30)
    assert place.left() == (70, False)
    for name in names[:10]:
        (root / name).unlink()
    assert place.sweep().gone == 10
    assert place.left() == (60, False)


def test_copies_that_were_there_before_are_no_moves(place: Bucket) -> None:
    place.fill(1, "kept-")
    names = place.fill(30)
    root = place.world.store._roots["inbox"]  # type: ignore[attr-defined]
    for name in names:
        (root / name).unlink()
    assert place.sweep().gone == 0
    assert place.hold is not None


def test_a_pass_that_is_interrupted_knows_what_was_missing_before(place: Bucket, client: Client, keys: Keys) -> None:
    names = place.fill(900)
    place.lose(names[:120])
    world = place.world
    inbox, holds = Inbox(client, keys.inbox), Holds(client, keys)
    breaking = Breaking(world.store._roots)  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        Sweeper(breaking, "inbox", world.records, inbox, client, keys, holds).step(60)
    client.delete(keys.lock("reconcile:inbox"))
    assert Sweeper(world.store, "inbox", world.records, inbox, client, keys, holds).step(60)
    hold = place.hold
    assert hold is not None
    assert hold.missing == 120


@pytest.mark.parametrize("server", real_servers.S3_SERVERS)
def test_a_server_that_comes_back_with_an_empty_bucket(
    server: str, make_s3: Callable[[str], S3Store], bucket: str, client: Client, keys: Keys
) -> None:
    store, ledger, records = make_s3(server), Ledger(client, keys, 100), Records(client, keys)
    pictures = {f"{number}.jpg": str(number).encode() for number in range(3)}

    def fill() -> list[ObjectRef]:
        return [store.put(bucket, key, io.BytesIO(data)).ref for key, data in pictures.items()]

    refs = fill()
    ledger.enter([Arrival(ref, verified=True) for ref in refs], REVISION, 1.0, 9.0)
    ledger.finish([
        Record(bucket=bucket, key=ref.key, etag=ref.etag, state="done", space_id=REVISION.space_id,
               captions_version=REVISION.captions_version)
        for ref in refs
    ], 2.0)  # fmt: skip
    for key in pictures:
        store.remove(bucket, key)
    assert swept(store, bucket, client, keys, confirmed=False).gone == 0
    (hold,) = Holds(client, keys).active()
    assert (hold.bucket, hold.missing, hold.known) == (bucket, 3, 3)
    fill()
    found = swept(store, bucket, client, keys, confirmed=False)
    assert (found.seen, found.sent, found.gone) == (3, 0, 0)
    assert Holds(client, keys).active() == []
    assert records.count_in(bucket) == 3


# -- events


def test_reported_removals_are_believed_while_the_bucket_lists_others(place: Bucket) -> None:
    names = place.fill(60)
    place.lose(names[:59], reported=True)
    place.dispatch()
    assert place.left() == (1, False)


def test_the_only_object_may_go(place: Bucket) -> None:
    place.lose(place.fill(1), reported=True)
    place.dispatch()
    assert place.left() == (0, False)


@pytest.mark.parametrize("count", [3, 45])
def test_a_burst_that_leaves_an_empty_bucket_is_held(place: Bucket, count: int) -> None:
    place.lose(place.fill(count), reported=True)
    place.dispatch()
    assert place.hold is not None
    assert place.recorded > 0
    kept = place.recorded
    place.sweep()
    assert place.recorded == kept
    place.sweep(confirmed=True)
    assert place.left() == (0, False)


def test_a_burst_after_which_the_bucket_cannot_be_read_is_held(
    place: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = place.fill(30)
    place.lose(names, reported=True)

    def missing(*_: object) -> Iterator[ObjectInfo]:
        raise BucketMissing("there is no bucket inbox")

    monkeypatch.setattr(place.world.store, "list", missing)
    place.dispatch()
    hold = place.hold
    assert hold is not None
    assert "there is no bucket inbox" in hold.reason


def test_removals_over_a_long_time_are_no_burst(place: Bucket) -> None:
    for name in place.fill(3):
        place.lose([name], reported=True)
        place.dispatch()
        place.world.now += BURST_S + 1
    assert place.left() == (0, False)


def test_what_a_user_has_removed_through_wildtag_is_never_held(place: Bucket) -> None:
    names = place.fill(40)
    place.lose(names)
    place.world.inbox.append([ObjectEvent("removed", "inbox", name, requested=True) for name in names])
    place.dispatch()
    assert place.left() == (0, False)
