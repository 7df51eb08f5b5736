"""What was said last of a label counts: whatever clocks say, in whatever order a journal is replayed."""

from __future__ import annotations

import threading
from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.partitioned import RoutedKeys, statements_of
from tests.unit.lifecycle.statements_samples import said
from workers.lifecycle.statements import Statement, Statements, Word
from workers.redis.connection import Client
from workers.redis.keys import Keys

OID, OTHER = "inbox/cat.jpg", "inbox/dog.jpg"


@pytest.fixture
def statements(client: Client, keys: Keys) -> Statements:
    return statements_of(client, keys) if isinstance(keys, RoutedKeys) else Statements(client, keys)


def word(statements: Statements, label: str, *, accepted: bool | None, now: float, oid: str = OID) -> Word:
    statement = None if accepted is None else Statement(label, accepted, "e1", now)
    return statements.say(oid, label, statement, now)[1]


def labels(statements: Statements) -> dict[str, bool]:
    return {one.label: one.accepted for _, all_ in statements.all() for one in all_}


def test_a_word_by_a_clock_that_is_behind_is_later_than_all_before(statements: Statements) -> None:
    first = word(statements, "Cats", accepted=True, now=1000.0)
    second = word(statements, "cat", accepted=None, now=1.0)
    third = word(statements, "CAT", accepted=False, now=500.0)
    assert first.said_at < second.said_at < third.said_at
    assert labels(statements) == {"CAT": False}
    for order in permutations([first, second, third]):
        for one in order:
            statements.restore(one, 0.0)
        assert labels(statements) == {"CAT": False}


def test_what_was_taken_back_does_not_come_back_before_the_journal_has_it(statements: Statements) -> None:
    given = word(statements, "cat", accepted=True, now=10.0)
    statements.written(given)
    taken = word(statements, "cat", accepted=None, now=10.0)
    assert statements.unwritten() == [taken]
    assert not statements.restore(given, 0.0)
    assert labels(statements) == {}
    statements.written(given)  # late: it is another word
    assert statements.unwritten() == [taken]
    statements.written(taken)
    assert statements.unwritten() == []


def test_what_redis_lost_last_is_restored(statements: Statements) -> None:
    kept = word(statements, "cat", accepted=True, now=10.0)
    statements.written(kept)
    lost = [
        Word(OID, "cat", 11.0),
        Word(OID, "dog", 12.0, said("dog")),
        Word(OTHER, "sofa", 12.0, said("sofa", accepted=False)),
    ]
    assert [statements.restore(one, 99.0) for one in lost] == [True] * 3
    assert [statements.restore(one, 99.0) for one in [*lost, kept]] == [False] * 4
    assert dict(statements.unfollowed()) == {OID: 99.0, OTHER: 99.0}


def test_another_etag_of_the_same_content_is_no_other_word(statements: Statements) -> None:
    given = word(statements, "cat", accepted=True, now=10.0)
    statements.written(given)
    statements.adopt(OID, "e1", "e2")
    assert not statements.restore(given, 0.0)
    assert [one.etag for _, all_ in statements.all() for one in all_] == ["e2"]


def test_a_plan_is_dropped_by_who_has_met_it_only(statements: Statements) -> None:
    statements.say(OID, "cat", said("cat"), 10.0, 20.125)
    statements.say(OID, "dog", said("dog"), 11.0, 21.0)  # meanwhile
    statements.followed(OID, 20.125)
    assert statements.unfollowed() == [(OID, 21.0)]
    statements.follow_later(OID, 30.000001)
    statements.followed(OID, 30.000001)
    statements.follow_later(OID, 40.0)
    assert statements.unfollowed() == []


def test_several_who_speak_at_once_have_different_times(statements: Statements) -> None:
    words: list[Word] = []

    def speak(own: Statements) -> None:
        words.extend(word(own, "cat", accepted=n % 2 == 0, now=10.0) for n in range(10))

    threads = [threading.Thread(target=speak, args=(statements,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.said_at for one in words}) == 40
    last = max(words, key=lambda one: one.order)
    assert [all_ for _, all_ in statements.all()] == [[last.statement]]
    assert statements.unwritten() == [last]


WORDS = st.lists(
    st.tuples(st.sampled_from(["cat", "Cats", "dog"]), st.sampled_from([True, False, None]), st.floats(1, 9),
              st.booleans()),
    min_size=1, max_size=8,
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happens=WORDS, data=st.data())
def test_a_replay_of_any_part_in_any_order_gives_what_was_said_last(
    statements: Statements, client: Client, happens: list[tuple[str, bool | None, float, bool]], data: st.DataObject
) -> None:
    """``written``: the journal has it. It is replayed into the same Redis, and into an empty one."""
    client.flushall()
    journal = list[Word]()
    for label, accepted, now, written in happens:
        one = word(statements, label, accepted=accepted, now=now)
        if written:
            journal.append(one)
            statements.written(one)
    expected = labels(statements)
    for one in data.draw(st.permutations(journal)):
        statements.restore(one, 0.0)
    assert labels(statements) == expected
    pending = statements.unwritten()
    client.flushall()
    for one in data.draw(st.permutations([*journal, *pending])):
        statements.restore(one, 0.0)
    assert labels(statements) == expected
