"""The register of what a process cannot reach: what it says, how often it asks, and whom it wakes."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field

import msgspec
import pytest
from redis.exceptions import ResponseError

from tests.eventually import eventually
from workers.outages import active
from workers.outages.board import Outage, OutageBoard
from workers.outages.tracker import OutageTracker
from workers.redis.connection import Client, StoreUnavailable, text
from workers.redis.keys import Keys
from workers.stores.store import StoreAway

PATIENCE_S = 10.0


@dataclass
class Service:
    """Answers its probe unless it is away; a probe may hang."""

    away: bool = True
    hangs: threading.Event | None = None
    asked: list[float] = field(default_factory=list)

    def probe(self) -> None:
        self.asked.append(time.monotonic())
        if self.hangs is not None:
            hangs, self.hangs = self.hangs, None
            hangs.wait(PATIENCE_S)
        if self.away:
            raise StoreAway("no answer")


@dataclass
class Notes:
    """Keeps what is written; refuses it while Redis is away."""

    away: bool = False
    written: list[list[Outage]] = field(default_factory=list)

    def write(self, standing: list[Outage]) -> None:
        if self.away:
            raise StoreUnavailable("no Redis")
        self.written.append(standing)


def refuse_threads(patch: pytest.MonkeyPatch, *names: str) -> None:
    """None of these can be started, as where the system allows no more."""
    start = threading.Thread.start

    def starting(thread: threading.Thread) -> None:
        if thread.name in names:
            raise RuntimeError("can't start new thread")
        start(thread)

    patch.setattr(threading.Thread, "start", starting)


def test_who_waits_is_woken_when_a_probe_succeeds_though_one_hangs() -> None:
    service = Service(hangs=threading.Event())
    outage_tracker = OutageTracker(probes={"store": service.probe})
    outage_tracker.begin("store", "no answer")
    eventually(lambda: len(service.asked) > 1)
    service.away = False
    assert outage_tracker.wait("store", PATIENCE_S)
    assert len(service.asked) < 5


def test_notes_are_written_when_redis_is_back_and_when_nothing_stands_any_more() -> None:
    notes = Notes(away=True)
    outage_tracker = OutageTracker(notes, {"listener": lambda: None})
    outage_tracker.begin("other", "deaf")
    notes.away = False
    eventually(lambda: notes.written)
    assert [one.name for one in notes.written[0]] == ["other"]
    outage_tracker.end("other")
    eventually(lambda: notes.written[-1] == [])


def test_a_fault_that_is_no_outage_ends_no_notes() -> None:
    class Forbidden(Notes):
        def write(self, standing: list[Outage]) -> None:
            if self.away:
                raise ResponseError("NOPERM")
            super().write(standing)

    notes = Forbidden(away=True)
    outage_tracker = OutageTracker(notes)
    outage_tracker.begin("listener", "deaf")
    time.sleep(0.2)  # it has met the fault
    notes.away = False
    eventually(lambda: notes.written)


def test_a_reason_that_is_no_text_can_be_told(client: Client, keys: Keys) -> None:
    board = OutageBoard(client, keys, "host-1", time.time)
    service = Service()
    outage_tracker = OutageTracker(board, {"store": service.probe})
    outage_tracker.begin("store", text(b"no folder /caf\xe9"))
    eventually(board.read)
    (noted,) = board.read()
    assert noted.reason == "no folder /caf\\udce9"
    assert json.dumps(noted.reason).encode() == msgspec.json.encode(noted.reason)


def test_an_outage_that_began_where_no_thread_could_be_started_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    service, notes = Service(), Notes()
    outage_tracker = OutageTracker(notes, {"store": service.probe})
    with monkeypatch.context() as patch:
        refuse_threads(patch, "outages", "outage notes")
        outage_tracker.begin("store", "no answer")
        assert not outage_tracker.wait("store", 0.1)
    service.away = False
    assert outage_tracker.wait("store", PATIENCE_S)
    eventually(lambda: notes.written and notes.written[-1] == [])


def test_a_service_is_probed_though_no_thread_is_left_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service()
    outage_tracker = OutageTracker(probes={"store": service.probe})
    refuse_threads(monkeypatch, "probe store")
    outage_tracker.begin("store", "no answer")
    eventually(lambda: service.asked)
    service.away = False
    assert outage_tracker.wait("store", PATIENCE_S)


def test_probes_that_hang_for_ever_are_named_and_do_not_end_the_probing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(active, "PROBE_EVERY_S", 0.0)
    monkeypatch.setattr(active, "HANGING_PAUSE_S", 0.1)
    monkeypatch.setattr(active, "HANGS_AFTER_S", 0.0)
    released, asked = threading.Event(), 0

    def probe() -> None:
        nonlocal asked
        asked += 1
        if asked <= active.PROBES_AT_ONCE:
            released.wait(PATIENCE_S)
            raise StoreAway("late")

    outage_tracker = OutageTracker(probes={"store": probe})
    outage_tracker.begin("store", "no answer")
    eventually(lambda: "probes have not ended" in outage_tracker.active()[0].reason, PATIENCE_S)
    assert outage_tracker.wait("store", PATIENCE_S)
    assert asked == active.PROBES_AT_ONCE + 1
    released.set()


def test_the_pause_between_probes_grows_with_those_that_hang() -> None:
    standing = active.Standing("no answer", 0.0, 0.0, 0.0, 0.0, lapses=False)
    pauses = []
    for count in (0, 11, 12, 13, 200):
        standing.probing = {threading.Thread(): 0.0 for _ in range(count)}
        pauses.append(next(pause for pause in range(1, 5000) if standing.probe_due(pause)))
    assert pauses == [1, 1, 60, 120, 3600]
