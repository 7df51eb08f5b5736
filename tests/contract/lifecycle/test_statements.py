"""Statements are stored by several at once, and no record is written without what is said at that moment."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import pytest

from tasks.message_parts import Hit, Judgement, ObjectRef, Revision, Tag
from tasks.messages import Scored
from tests.contract.partitioned import UNPARTITIONED, RoutedKeys, keys_of, statements_of
from tests.contract.queues import Queues
from tests.contract.stored_records import head
from tests.unit.lifecycle.statements_samples import BUCKET, ETAG, KEY, gained, like, record, said
from workers.lifecycle.composing import composed
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.object_numbers import member_of
from workers.lifecycle.outcomes import Acceptance, Before
from workers.lifecycle.record_reader import Records
from workers.lifecycle.statements import Statements
from workers.lifecycle.stored_record import read_record
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.stages.handover import Handover

REF = ObjectRef(BUCKET, KEY, ETAG)
REVISION = Revision("space", "captions@1")
NOTHING = Judgement()


@pytest.fixture
def statements(client: Client, keys: Keys) -> Statements:
    return statements_of(client, keys) if isinstance(keys, RoutedKeys) else Statements(client, keys)


def enter(ledger: Ledger, *, force: bool = False) -> None:
    ledger.enter([Arrival(REF, force=force)], REVISION, 100.0, 160.0)


def test_what_several_say_at_once_of_one_image_is_all_there(
    client: Client, keys: Keys, statements: Statements
) -> None:
    keys = keys_of(keys, REF.id)
    labels = [f"label {number}" for number in range(40)]

    def say(part: list[str]) -> None:
        own = Statements(client, keys)
        for label in part:
            own.change(REF.id, label, said(label))

    threads = [threading.Thread(target=say, args=(labels[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ((oid, stored),) = statements.all()
    assert oid == REF.id
    assert sorted(one.label for one in stored) == sorted(labels)
    assert statements.revision() == len(labels)


def test_the_last_word_of_a_label_counts_in_any_spelling_and_none_is_left_when_it_is_taken_back(
    statements: Statements, client: Client, keys: Keys
) -> None:
    statements.change(REF.id, "Cats", said("Cats"))
    assert [(one.label, one.accepted) for one in statements.change(REF.id, "cat", said("cat", accepted=False))] == [
        ("cat", False)
    ]
    assert statements.change(REF.id, "CAT", None) == []
    assert statements.objects() == []
    assert client.exists(keys.statements(REF.id)) == 0
    assert statements.revision() == 3


def test_no_record_is_written_without_what_is_said_meanwhile(
    ledger: Ledger, statements: Statements, records: Records
) -> None:
    enter(ledger)
    before = ledger.before([REF.id])
    statements.change(REF.id, "Chelsea", said("Chelsea"))
    assert ledger.finish_said([record("cat")], before, 101.0) == ["changed"]
    assert records.get([REF.id]) == [None]
    assert ledger.in_flight() == 1
    now = ledger.before([REF.id])
    assert ledger.finish_said([record("cat")], now, 101.0) == ["written"]
    assert ledger.finish_said([record("cat")], now, 101.0) == ["refused"]


class Interrupting(Ledger):
    """Somebody says something each time what is stored was read, for a while."""

    labels: tuple[str, ...] = ("one", "two", "three")
    statements: Statements

    def before(self, oids: Any) -> list[Before]:
        found = super().before(oids)
        if self.labels:
            label, *rest = self.labels
            self.labels = tuple(rest)
            self.statements.change(REF.id, label, said(label))
        return found


@UNPARTITIONED
def test_the_record_of_a_tagged_image_is_complete_however_often_somebody_interrupts(
    client: Client, keys: Keys, ledger: Ledger, records: Records
) -> None:
    enter(ledger)
    interrupting = Interrupting(client, keys, 100)
    interrupting.statements = Statements(client, keys)
    handover = Handover(interrupting, Queues(), Inbox(client, keys.inbox), lambda _: None, 60.0, lambda: 101.0)
    scored = Scored(
        objects=(REF,), revision=REVISION, hits=((Hit(1, "a cat", 0.5),),), tags=((Tag("cat", 0.5, 0.5, 0.5),),),
        judgements=(gained(like("tabby")),),
    )  # fmt: skip
    handover.finish(scored, {REF.id: Acceptance(100.0)})
    (found,) = records.get([REF.id])
    assert found is not None
    assert [tag.label for tag in found.tags] == ["one", "two", "three", "tabby", "cat"]
    assert ledger.in_flight() == 0


def test_a_revised_record_keeps_its_state_version_and_time_and_is_found_by_its_new_labels(
    ledger: Ledger, records: Records, client: Client, keys: Keys
) -> None:
    enter(ledger)
    first = msgspec.structs.replace(record("cat", "sofa"), finished_at=101.0)
    assert ledger.finish([first], 101.0) == [True]
    (body,) = records.stored([REF.id])
    assert body is not None
    feed = Records(client, keys_of(keys, REF.id))
    end = feed.feed_end()
    revised = composed(read_record(REF.id, body), [said("Chelsea"), said("sofa", accepted=False)], NOTHING)
    assert ledger.revise(REF.id, body, revised)
    assert records.get([REF.id]) == [revised]
    assert client.zscore(keys_of(keys, REF.id).records, member_of(head(client, keys, REF.id).number)) == 101.0
    assert records.counts()["done"] == 1
    assert records.known([REF.id]) == [(ETAG, "")]
    assert [label for label, _ in records.tag_index.common()] == ["Chelsea", "cat"]
    (entry,) = feed.feed_page(end, 10)
    assert entry.record == revised


def test_a_record_that_has_changed_meanwhile_is_not_revised(
    ledger: Ledger, records: Records, client: Client, keys: Keys
) -> None:
    enter(ledger)
    ledger.finish([record("cat")], 101.0)
    (body,) = records.stored([REF.id])
    assert body is not None
    enter(ledger, force=True)
    ledger.finish([record("dog")], 102.0)
    feed = Records(client, keys_of(keys, REF.id))
    end = feed.feed_end()
    assert not ledger.revise(REF.id, body, record("cat", "Chelsea"))
    assert [tag.label for found in records.get([REF.id]) if found for tag in found.tags] == ["dog"]
    ledger.remove([REF.id])
    assert not ledger.revise(REF.id, body, record("cat", "Chelsea"))
    assert records.get([REF.id]) == [None]
    assert len(feed.feed_page(end, 10)) == 1  # the removal


def test_statements_outlive_their_object(ledger: Ledger, statements: Statements) -> None:
    enter(ledger)
    ledger.finish([record("cat")], 101.0)
    statements.change(REF.id, "Chelsea", said("Chelsea"))
    ledger.remove([REF.id])
    assert [oid for oid, _ in statements.all()] == [REF.id]


def test_statements_hold_for_another_etag_of_the_same_content(statements: Statements) -> None:
    statements.change(REF.id, "Chelsea", said("Chelsea", etag="e1"))
    statements.change(REF.id, "sofa", said("sofa", etag="e0"))
    statements.adopt(REF.id, "e1", "e2")
    statements.adopt("inbox/nothing.jpg", "e1", "e2")
    assert dict(statements.all()) == {REF.id: [said("Chelsea", etag="e2"), said("sofa", etag="e0")]}


@UNPARTITIONED
def test_a_result_of_an_earlier_round_that_ends_late_is_not_that_of_the_next(
    client: Client, keys: Keys, ledger: Ledger
) -> None:
    """Its message came twice, and the second one was being scored when the first ended and the object was entered."""
    enter(ledger)
    queues = Queues()
    handover = Handover(ledger, queues, Inbox(client, keys.inbox), lambda _: None, 60.0, lambda: 101.0)
    scored = Scored(
        objects=(REF,), revision=REVISION, hits=((Hit(1, "a cat", 0.5),),), tags=((Tag("cat", 0.5, 0.5, 0.5),),),
    )  # fmt: skip
    both = [handover.accept("scoring", scored, begin=False) for _ in range(2)]
    handover.finish(scored, both[0])
    enter(ledger, force=True)
    handover.finish(scored, both[1])
    assert ledger.in_flight() == 1
    assert queues.sent == []
