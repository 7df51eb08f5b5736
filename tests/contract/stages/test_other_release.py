"""A message of another release returns to its queue: its objects are neither lost nor dead."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

import workers.stages.runner as runner_module
from tasks.message_parts import ObjectRef, Origin, Revision, Vectors
from tasks.messages import Embedded, Submitted, of_other_release
from tests.unit.stages.made_up import random_units
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import decoded
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record_reader import Records
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.stages.handover import Handover
from workers.stages.runner import StageRunner
from workers.stages.table import Stage

REVISION = Revision("space", "c@1")
REF = ObjectRef("inbox", "a.png", "e")


def newer(kind: str = "embedded/9") -> bytes:
    """A message with another version and a field that this release does not know."""
    known = Embedded(objects=(REF,), revision=REVISION, vectors=Vectors.of(random_units(1, 1)))
    return msgspec.msgpack.encode({**msgspec.msgpack.decode(known.encode()), "kind": kind, "more": [1, 2]})


def test_the_objects_of_a_newer_message_are_known() -> None:
    assert of_other_release(newer()) == ((REF,), REVISION)
    assert of_other_release(newer("embedded/1")) == ((REF,), REVISION)  # an unknown field
    for other in (newer("request/1"), b"\x01", b"", msgspec.msgpack.encode({"kind": "embedded/9"})):
        assert of_other_release(other) is None


def test_entries_of_the_ledger_and_events_of_a_newer_release_are_read_without_what_is_new(
    client: Client, keys: Keys
) -> None:
    """The keeper and the dispatcher of this release go on with what one of a newer release has stored."""
    ledger = Ledger(client, keys, 100)
    ledger.enter([Arrival(REF)], REVISION, 1000.0, 1060.0)
    client.hset(keys.entry(REF.id), "ref", with_more(msgspec.to_builtins(REF)))
    assert [one.ref for one in ledger.overdue(2000.0, 2060.0)] == [REF]
    event = ObjectEvent("created", "inbox", "a.png", force=True, origin=Origin("id"))
    stored = msgspec.to_builtins(event)
    assert decoded({b"event": with_more(stored | {"origin": stored["origin"] | {"more": 1}})}) == event


def with_more(fields: dict[str, Any]) -> bytes:
    return msgspec.msgpack.encode({**fields, "more": [1, 2]})


def test_it_goes_to_the_end_of_its_queue_and_no_attempt_is_counted(
    client: Client, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "LEFT_S", 0.0)
    ledger, sent = Ledger(client, keys, 100), list[tuple[str, bytes]]()
    publisher: Any = SimpleNamespace(send_on=lambda stage, data, _: sent.append((stage, data)))
    inbox: Any = SimpleNamespace()
    handover = Handover(ledger, publisher, inbox, lambda _: None, 60.0, lambda: 1000.0)
    health: Any = SimpleNamespace(beat=lambda _: None, command=lambda *_: ("PING",))
    tracker: Any = SimpleNamespace(register=lambda _: None)
    runner = StageRunner(
        {"retrieval": Stage(Embedded.decode, lambda: lambda *_: None)}, handover, publisher, health, tracker, 300.0
    )
    ledger.enter([Arrival(REF)], REVISION, 1000.0, 1060.0)
    handover.accept("embedding", Submitted(objects=(REF,), revision=REVISION), begin=True)
    for _ in range(10):  # more often than an object may be attempted
        runner.run("retrieval", newer(), 0)
    assert sent == [("retrieval", newer())] * 10
    (pending,) = Records(client, keys).pending()
    assert (pending.attempts, pending.fault) == (0, "a message of another release in retrieval")
    assert client.zscore(keys.ledger, REF.id) == 1060.0  # and its deadline moves on with it
    runner.run("retrieval", b"no message", 0)
    assert len(sent) == 10
