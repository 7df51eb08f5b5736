"""What an outage stops goes on within two seconds of its end, and costs few questions meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.message_parts import Revision
from tests.contract.dispatch.dispatching_world import World, created, made_of, world
from tests.contract.outages.soon import SOON_S
from tests.contract.own_redis import OwnRedis
from tests.eventually import eventually
from vectordb.server_client import ServerAway
from workers.dispatch.dispatcher import Dispatcher
from workers.dispatch.pace import Pace
from workers.lifecycle.event import ObjectEvent
from workers.outages.tracker import OutageTracker
from workers.processes.loops import Step
from workers.redis.connection import StoreUnavailable
from workers.redis.connection import connect as connect_redis
from workers.redis.keys import Keys
from workers.stores.store import ObjectInfo, StoreAway

__all__ = ["world"]


class Captions:
    """Gives the revision, unless they are away."""

    def __init__(self) -> None:
        self.away = False

    def __call__(self) -> Revision:
        if self.away:
            raise ServerAway("no answer")
        return Revision("space", "captions@1")


def dispatcher(world: World, captions: Callable[[], Revision], outage_tracker: OutageTracker) -> Dispatcher:
    return Dispatcher(
        world.inbox, world.later, world.segments, world.ledger, world.store, world.artifacts, world.queues,
        world.event_sink, world.events, world.guard, captions, lambda _: True, lambda _: "",
        Pace(3, 5, 100, deadline_s=60), "me", lambda: world.now, outage_tracker,
    )  # fmt: skip


def sent_within(world: World, turn: Step, keys: set[str], seconds: float) -> None:
    """Take turns until all of these are sent."""

    def all_sent() -> bool:
        turn()
        return keys <= {key for batch in world.queues.sent for key in batch}

    eventually(all_sent, seconds, lambda: str(world.queues.sent))


def test_events_that_were_read_while_the_captions_were_away_go_on_when_they_are_back(world: World) -> None:
    captions = Captions()
    outage_tracker = OutageTracker(probes={"captions": captions, "store": lambda: None})
    taken = dispatcher(world, captions, outage_tracker)
    turn = Step(lambda: taken.step(block_ms=10), outage_tracker)
    world.inbox.append([created(world.put(f"{i}.jpg")) for i in range(5)])
    captions.away = True
    assert not turn()
    assert outage_tracker.is_active("captions")
    world.inbox.append([created(world.put("meanwhile.jpg"))])
    assert not turn()
    assert world.queues.sent == []
    captions.away = False
    sent_within(world, turn, {*(f"{i}.jpg" for i in range(5)), "meanwhile.jpg"}, SOON_S)
    assert world.records.counts()["inbox"] == 0


def test_events_that_the_store_had_to_be_asked_about_go_on_when_it_is_back(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, stat = [0], world.store.stat

    def counting(bucket: str, key: str) -> ObjectInfo | None:
        asked[0] += 1
        return stat(bucket, key)

    monkeypatch.setattr(world.store, "stat", counting)
    world.now = time.time()
    outage_tracker = OutageTracker(probes={"store": lambda: stat("inbox", "ready")})
    taken = dispatcher(world, lambda: Revision("space", "captions@1"), outage_tracker)
    turn = Step(lambda: taken.step(block_ms=10), outage_tracker)
    for number in range(40):
        world.put(f"{number}.jpg")
    (tmp_path / "inbox").rename(tmp_path / "away")
    world.inbox.append([ObjectEvent("created", "inbox", f"{number}.jpg") for number in range(40)])
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        turn()
    assert outage_tracker.is_active("store")
    assert asked[0] < 20  # those that were under way when it was noticed
    (tmp_path / "away").rename(tmp_path / "inbox")
    sent_within(world, turn, {f"{number}.jpg" for number in range(40)}, SOON_S + 1)


def test_of_redis_that_is_killed_what_was_read_goes_on_when_it_is_back(tmp_path: Path) -> None:
    own = OwnRedis()
    try:
        client = own.start()
        made = made_of(client, Keys("test:"), tmp_path)
        probe = connect_redis(own.url, patience_s=2, tries=1)

        def reach() -> None:
            try:
                probe.ping()
            except Exception as exc:
                raise StoreUnavailable("no answer") from exc

        outage_tracker = OutageTracker(probes={"redis": reach, "store": lambda: None})
        broken = [True]

        def revision() -> Revision:
            if broken[0]:
                own.kill()  # between reading the events and entering their objects
            return Revision("space", "captions@1")

        taken = dispatcher(made, revision, outage_tracker)
        turn = Step(lambda: taken.step(block_ms=10), outage_tracker)
        made.inbox.append([created(made.put("a.jpg"))])
        assert not turn()
        assert outage_tracker.is_active("redis")
        broken[0] = False
        own.start()
        sent_within(made, turn, {"a.jpg"}, SOON_S + 1)
    finally:
        own.close()


def test_what_others_left_is_not_claimed_while_the_store_is_away(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, stat = [0], world.store.stat

    def counting(bucket: str, key: str) -> ObjectInfo | None:
        asked[0] += 1
        return stat(bucket, key)

    monkeypatch.setattr(world.store, "stat", counting)
    world.now = time.time()
    world.put("a.jpg")
    world.inbox.append([ObjectEvent("created", "inbox", "a.jpg")])
    assert len(world.inbox.read("another", 10, None)) == 1
    outage_tracker = OutageTracker(probes={"store": lambda: stat("inbox", "ready")})
    taken = dispatcher(world, lambda: Revision("space", "captions@1"), outage_tracker)
    (tmp_path / "inbox").rename(tmp_path / "away")
    outage_tracker.begin("store", "no answer")
    turn, work = Step(lambda: taken.recover(0), outage_tracker), Step(lambda: taken.step(block_ms=10), outage_tracker)
    assert not turn()
    assert asked[0] == 0
    assert outage_tracker.active()[0].reason == "no answer"
    (tmp_path / "away").rename(tmp_path / "inbox")
    back = time.monotonic()
    while not turn():
        assert time.monotonic() < back + SOON_S
        turn.rest(threading.Event())
    sent_within(world, work, {"a.jpg"}, SOON_S)


def test_what_was_claimed_when_redis_was_killed_goes_on_when_it_is_back(tmp_path: Path) -> None:
    own = OwnRedis()
    try:
        made = made_of(own.start(), Keys("test:"), tmp_path)
        broken = [True]

        def revision() -> Revision:
            if broken[0]:
                own.kill()  # between claiming the events and entering their objects
            return Revision("space", "captions@1")

        taken = dispatcher(made, revision, OutageTracker())
        made.inbox.append([created(made.put("a.jpg"))])
        assert len(made.inbox.read("another", 10, None)) == 1
        with pytest.raises(StoreUnavailable):
            taken.recover(0)
        broken[0] = False
        own.start()
        sent_within(made, Step(lambda: taken.step(block_ms=10), OutageTracker()), {"a.jpg"}, SOON_S + 1)
    finally:
        own.close()


def test_one_object_that_the_store_does_not_answer_for_is_no_outage(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat, asked = world.store.stat, [0]

    def sometimes(bucket: str, key: str) -> ObjectInfo | None:
        if key == "broken.jpg":
            asked[0] += 1
            raise StoreAway("503")
        return stat(bucket, key)

    monkeypatch.setattr(world.store, "stat", sometimes)
    world.now = time.time()
    outage_tracker = OutageTracker(probes={"store": lambda: sometimes("inbox", "ready")})
    taken = dispatcher(world, lambda: Revision("space", "captions@1"), outage_tracker)
    world.inbox.append([ObjectEvent("removed", "inbox", "broken.jpg")])
    deadline = time.monotonic() + 1.6
    while time.monotonic() < deadline:
        taken.step(block_ms=20)
    assert outage_tracker.active() == []
    assert 2 <= asked[0] <= 3  # at once, after a second, and less and less often
    world.inbox.append([created(world.put("good.jpg"))])
    taken.step(block_ms=20)
    assert world.queues.sent == [["good.jpg"]]
