"""Outages count no attempts, and end for writers and notifiers alike."""

from __future__ import annotations

import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from tests.contract.dispatch.dispatching_world import World, created
from tests.contract.dispatch.dispatching_world import world as world  # noqa: PLC0414 -- a fixture
from tests.contract.outages.soon import SOON_S
from tests.contract.segmenting_world import World as SegmentingWorld
from vectordb.server_client import ServerAway
from workers.dispatch.keeper import Keeper
from workers.lifecycle.ledger import Ledger
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import Records
from workers.notifying.notifier import Notifier
from workers.notifying.outbox import Outbox
from workers.notifying.plan import Answer, Plan
from workers.notifying.writeback import Writer
from workers.outages.board import Outage, OutageBoard
from workers.outages.outage_report import OutageReport
from workers.outages.tracker import Away, OutageTracker
from workers.redis.connection import Client, StoreUnavailable
from workers.redis.keys import Keys
from workers.redis.streams import read_group
from workers.settings.settings import Settings
from workers.stores.store import ObjectInfo, StoreAway


def keeper(world: World, board: OutageBoard, give_up_s: float = 86_400, *, answers: bool = False) -> Keeper:
    """``answers``: whether its own process reaches the captions."""

    def reach() -> None:
        if not answers:
            raise ServerAway("no answer")

    outages = OutageReport(board, OutageTracker(probes={"captions": reach}), dict)
    return Keeper(
        world.ledger, world.inbox, world.health, world.queues, lambda: world.revision, stages=("embedding",),
        deadline_s=60, max_attempts=2, give_up_s=give_up_s, clock=lambda: world.now, away=outages.common,
    )  # fmt: skip


def test_an_outage_burns_no_attempts_and_sends_nothing_again(world: World, client: Client, keys: Keys) -> None:
    board = OutageBoard(client, keys, "host-1", lambda: world.now)
    ref = world.put("a.jpg")
    world.inbox.append([created(ref)])
    world.dispatcher().step(block_ms=10)
    for _ in range(5):
        world.ledger.advance([ref], world.revision, "embedding", world.now + 60, now=world.now, begin=True)
    keeping = keeper(world, board)
    for _ in range(10):
        world.now += 61
        world.health.beat("embedding")
        board.write([Outage(name="captions", reason="no answer", since=1000.0)])
        assert keeping.step() == 1
    assert world.queues.sent == [["a.jpg"]]
    assert world.records.counts()["dead"] == 0


def test_an_outage_of_a_month_gives_nothing_up_and_its_end_begins_anew(
    world: World, client: Client, keys: Keys
) -> None:
    board, month, hour = OutageBoard(client, keys, "host-1", lambda: world.now), 30 * 86_400, 3600.0
    held, odd = world.put("held.jpg"), world.put("odd.jpg")
    world.inbox.append([created(held), created(odd)])
    world.dispatcher().step(block_ms=10)
    keeping = keeper(world, board, give_up_s=hour)

    def attempts() -> list[int]:
        return [int(client.hget(keys.entry(ref.id), "attempts") or 0) for ref in (held, odd)]

    def begin() -> None:
        for ref in (held, odd):
            world.ledger.advance([ref], world.revision, "embedding", world.now + 60, now=world.now, begin=True)

    begin()
    world.ledger.postpone([odd], world.revision, world.now + 30, "HEAD and GET disagree", now=world.now)
    began = world.now
    while world.now < began + month:
        world.now += hour / 2
        world.health.beat("embedding")
        board.write([Outage(name="captions", reason="no answer", since=began)])
        keeping.step()
        if world.now < began + 2 * hour:  # what a worker does that holds the message
            world.ledger.postpone([held], world.revision, world.now + 60, "no answer", now=world.now, own=False)
    assert world.queues.sent == [["held.jpg", "odd.jpg"]], "nothing was sent again"
    assert world.records.counts()["dead"] == 0
    assert attempts() == [0, 0]

    board.write([])
    keeping = keeper(world, board, give_up_s=hour, answers=True)
    world.now += 61
    world.health.beat("embedding")
    assert keeping.step() == 2
    assert world.queues.sent[1:] == [["held.jpg"], ["odd.jpg"]], "each is tried again, alone"
    begin()
    for at in (0, hour / 2, hour + 1):  # a fault of its own lasts: it is given up after the time for that
        now = world.now + at
        world.ledger.postpone([odd], world.revision, now, "HEAD and GET disagree", now=now)
    world.finish(held)
    world.now += hour + 2
    world.health.beat("embedding")
    keeping.step()
    (record,) = [one for one in world.records.latest() if one.key == "odd.jpg"]
    assert record.error is not None
    assert (record.state, record.error.code) == ("dead", "gave-up")
    assert "HEAD and GET disagree" in record.error.reason


def test_one_host_that_is_cut_off_keeps_no_object_from_being_sent_again(
    world: World, client: Client, keys: Keys
) -> None:
    board = OutageBoard(client, keys, "cut off-1", lambda: world.now)
    keeping = keeper(world, OutageBoard(client, keys, "here-1", lambda: world.now), give_up_s=90, answers=True)
    world.inbox.append([created(world.put("lost.jpg"))])
    world.dispatcher().step(block_ms=10)
    for sent in (2, 3):  # the second time it is older than anybody wants to wait for a service
        world.now += 61
        world.health.beat("embedding")
        board.write([Outage(name="captions", reason="no route", since=1000.0)])
        assert keeping.step() == 1
        assert world.queues.sent == [["lost.jpg"]] * sent
    assert world.records.counts()["dead"] == 0


@pytest.mark.parametrize(("waiting", "sent"), [(0, 2), (1, 1)])
def test_broken_models_keep_no_object_from_being_sent_again_that_lost_its_message(
    world: World, client: Client, keys: Keys, waiting: int, sent: int
) -> None:
    """They are those of one worker of many, or of segmentation. Otherwise messages wait, and none is sent twice."""
    board = OutageBoard(client, keys, "worker-1", lambda: world.now)
    keeping = keeper(world, board, answers=True)
    ref = world.put("lost.jpg")
    world.inbox.append([created(ref)])
    world.dispatcher().step(block_ms=10)
    world.ledger.advance([ref], world.revision, "embedding", world.now, now=world.now, begin=True)
    world.ledger.crashed([ref], world.revision, "was ended by SIGKILL", world.now, blamed=True)
    world.queues.waiting = waiting
    world.now += 1
    world.health.beat("embedding")
    board.write([Outage(name="model", reason="CLIPSeg is not there", since=1.0)])
    assert keeping.step() == 1
    assert world.queues.sent == [["lost.jpg"]] * sent


def test_who_holds_the_captions_alone_is_believed_that_they_are_away(client: Client, keys: Keys) -> None:
    OutageBoard(client, keys, "holder-1", time.time).write([Outage(name="captions", reason="locked", since=1.0)])
    outages = OutageReport(
        OutageBoard(client, keys, "here-1", time.time), OutageTracker(probes={"store": lambda: None}), dict
    )
    assert outages.common() == "locked"
    assert outages.own.active() == []


def test_a_batch_that_was_held_for_a_service_in_vain_has_not_been_begun(
    redis_url: str, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "inbox").mkdir()
    one = SegmentingWorld(Settings.model_validate({
        "redis_url": redis_url, "key_prefix": "test:", "home": tmp_path, "task_time_limit_s": 1,
        "qdrant_url": "http://127.0.0.1:1",
    }))  # fmt: skip
    one.put("a.png")
    one.dispatcher.step(1)
    ((stage, batch, retries),) = one.queues.sent
    (tmp_path / "inbox").rename(tmp_path / "away")
    for _ in range(one.settings.max_attempts + 1):  # as often as the keeper may send it again
        one.stages.run(stage, batch.encode(), retries)
    assert one.queues.sent[1:] == [(stage, batch, 1)] * (one.settings.max_attempts + 1)
    assert client.hget("test:entry:inbox/a.png", "attempts") == b"0"


def test_tags_that_could_not_be_written_back_are_written_when_the_store_is_back(
    world: World, client: Client, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, put = [False], world.store.put

    def reach(*_: object) -> None:
        if away[0]:
            raise StoreAway("no answer")

    def putting(*arguments: Any) -> ObjectInfo:
        reach()
        return put(*arguments)

    monkeypatch.setattr(world.store, "put", putting)
    records = Records(client, keys)
    outage_tracker = OutageTracker(probes={"store": reach})
    writer = Writer(world.store, records, client, keys, "inbox", "sidecar", ".wildtag/", "me", outage_tracker)
    writer.prepare()
    ledger = Ledger(client, keys, 100)
    refs = [world.put(f"{i}.jpg") for i in range(5)]
    world.inbox.append([created(ref) for ref in refs])
    world.dispatcher(batch_max=5).step(block_ms=10)
    for ref in refs:
        done = Record(bucket="inbox", key=ref.key, etag=ref.etag, state="done", space_id="space",
                      captions_version="captions@1")  # fmt: skip
        assert ledger.finish([done], world.now) == [True]
    away[0] = True
    assert writer.step(block_ms=10) == 0
    assert outage_tracker.is_active("store")
    away[0] = False
    deadline, written = time.monotonic() + SOON_S + 1, 0
    while written < 5:
        written += writer.step(block_ms=10)
        assert time.monotonic() < deadline
    assert len(list((tmp_path / "inbox" / ".wildtag").glob("*.json"))) == 5


def test_a_writer_claims_nothing_while_the_store_is_away(world: World, client: Client, keys: Keys) -> None:
    away = [True]

    def reach() -> None:
        if away[0]:
            raise StoreAway("no answer")

    outage_tracker = OutageTracker(probes={"store": reach})
    writer = Writer(
        world.store, Records(client, keys), client, keys, "inbox", "sidecar", ".wildtag/", "me", outage_tracker
    )  # fmt: skip
    writer.prepare()
    finished(world, "a.jpg")
    assert len(read_group(client, keys.feed, "writer", "another", 10, None)) == 1
    outage_tracker.begin("store", "no answer")
    with pytest.raises(Away):
        writer.recover(0)
    assert pending(client, keys, "writer", "another") == 1
    away[0] = False
    assert outage_tracker.wait("store", SOON_S)
    assert writer.recover(0) == 1


def test_what_a_writer_and_a_notifier_have_claimed_goes_on_after_a_fault(
    world: World, client: Client, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(world.store, Records(client, keys), client, keys, "inbox", "sidecar", ".wildtag/", "me")
    answered: Future[Answer] = Future()
    answered.set_result(Answer(204))
    notifier = Notifier(
        client, keys, Outbox(client, keys), lambda _: answered, Plan(3), at_once=1, lease_s=60, consumer="me",
        clock=time.time,
    )  # fmt: skip
    for reader in (writer, notifier):
        reader.prepare()
    finished(world, "a.jpg")

    def broken(*_: object, **__: object) -> None:
        raise StoreUnavailable("killed")

    for group in ("writer", "notifier"):
        assert len(read_group(client, keys.feed, group, "another", 10, None)) == 1
    for reader, called, name in ((writer, Records, "get"), (notifier, Outbox, "accept")):
        with monkeypatch.context() as patch:
            patch.setattr(called, name, broken)
            with pytest.raises(StoreUnavailable):
                reader.recover(0)
        for _ in range(2):
            reader.step(block_ms=10)
    assert [pending(client, keys, group, "me") for group in ("writer", "notifier")] == [0, 0]


def finished(world: World, key: str) -> None:
    """An object that has its record, and the feed an entry."""
    ref = world.put(key)
    world.inbox.append([created(ref)])
    world.dispatcher().step(block_ms=10)
    world.finish(ref)


def pending(client: Any, keys: Keys, group: str, consumer: str) -> int:
    """Entries of the feed that a consumer has read and not acknowledged."""
    return len(client.xpending_range(keys.feed, group, "-", "+", 100, consumer))
