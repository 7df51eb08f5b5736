"""Lists of records: newest first, in every state and over all states, in pages of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.message_parts import ObjectRef, Revision
from tests.contract.partitioned import keys_of
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.object_numbers import ObjectNumbers, member_of
from workers.lifecycle.record import STATES, Record, State
from workers.lifecycle.record_reader import Records
from workers.lifecycle.record_times import RecordPlace
from workers.redis.connection import Client
from workers.redis.keys import Keys

REVISION = Revision("space", "captions@1")


def finish(ledger: Ledger, key: str, state: State, at: float) -> None:
    ref = ObjectRef("inbox", key, f"{state}{at}")
    ledger.enter([Arrival(ref, verified=True, force=True)], REVISION, at, at + 60)
    record = Record(
        bucket="inbox", key=key, etag=ref.etag, state=state, space_id="space", captions_version="captions@1"
    )
    assert ledger.finish([record], at) == [True]


def in_pages(
    records: Records, size: int, state: State | None = None, between: Callable[[int], None] = lambda _: None
) -> list[str]:
    """The ids of all records, as pages of ``size`` have them. ``between``: called before each further page."""
    found: list[str] = []
    after: RecordPlace | None = None
    while True:
        page, after = records.page(after, size, state)
        assert len(page) == size or after is None
        found += [record.id for record in page]
        if after is None:
            return found
        between(len(found))


@pytest.mark.parametrize("size", [1, 3, 7])
def test_pages_have_no_repeats_and_no_gaps_while_objects_come_go_and_are_tagged_again(
    ledger: Ledger, records: Records, size: int
) -> None:
    for number in range(20):
        finish(ledger, f"{number}.png", "failed" if number % 5 == 0 else "done", 100.0 + number // 2)
    stays = {f"inbox/{number}.png" for number in range(20) if number not in {2, 13}}

    def between(there: int) -> None:
        finish(ledger, f"new-{there}.png", "done", 500.0 + there)
        for number in (1, 5, 10, 18, 19):  # some of them are listed already, and some are not
            finish(ledger, f"{number}.png", "skipped" if there % 2 else "done", 600.0 + there)
        if there == size:
            ledger.remove(["inbox/2.png", "inbox/13.png"])

    found = in_pages(records, size, between=between)
    assert len(found) == len(set(found))
    assert stays <= set(found)
    assert not any("new" in oid for oid in found)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from(STATES), st.sampled_from([0.0, 1.0, 1.5, 1.8e9, 1.8e9 + 0.25])),
        max_size=25,
    ),
    st.integers(1, 7),
)
def test_pages_of_any_size_have_each_record_once_newest_first(
    ledger: Ledger, records: Records, client: Client, happens: list[tuple[int, State, float]], size: int
) -> None:
    client.flushall()
    known: dict[str, tuple[float, State]] = {}
    for number, its, at in happens:
        finish(ledger, f"{number}.png", its, at)
        first, _ = known.get(f"inbox/{number}.png", (at, its))
        known[f"inbox/{number}.png"] = first, its  # an object keeps its place
    listed: list[State | None] = [None, *STATES]
    for state in listed:
        wanted = {oid for oid, (_, its) in known.items() if state in (None, its)}
        found = in_pages(records, size, state)
        assert sorted(found) == sorted(wanted)
        times = [known[oid][0] for oid in found]
        assert times == sorted(times, reverse=True)
        assert [f"inbox/{one.key}" for one in records.latest(state=state)] == list(records.oids(state)) == found
    counts = records.counts()
    assert {state: counts[state] for state in STATES} == {
        state: sum(its == state for _, its in known.values()) for state in STATES
    }


def test_an_object_keeps_its_number_until_it_is_removed(
    ledger: Ledger, records: Records, client: Any, keys: Keys
) -> None:
    finish(ledger, "a.png", "done", 1.0)
    keys = keys_of(keys, "inbox/a.png")
    (first,) = client.zrange(keys.records, 0, -1)
    finish(ledger, "a.png", "failed", 2.0)
    assert client.zrange(keys.records, 0, -1) == [first] == [member_of(1)]
    ledger.remove(["inbox/a.png"])
    assert ObjectNumbers(client, keys).oids([first]) == [None]
    finish(ledger, "a.png", "done", 3.0)
    assert client.zrange(keys.records, 0, -1) == [member_of(2)]
    assert list(records.oids()) == ["inbox/a.png"]


@pytest.mark.parametrize("key", ["x" * 500, "é\udcff.png"])
def test_keys_of_any_kind_are_listed(ledger: Ledger, records: Records, key: str) -> None:
    finish(ledger, key.replace("\udcff", ""), "done", 1.0)
    assert list(records.oids()) == [f"inbox/{key}".replace("\udcff", "")]


def test_many_objects_are_written_and_removed_in_few_calls(ledger: Ledger, records: Records) -> None:
    """More than one call of a script takes."""
    refs = [ObjectRef("inbox", f"{number}.png", "e") for number in range(200)]
    assert set(ledger.enter([Arrival(ref) for ref in refs], REVISION, 1.0, 60.0)) == {"entered"}
    begun = ledger.advance(refs, REVISION, "scoring", 70.0, now=2.0, read_before=True)
    assert all(one is not None and one.before is not None for one in begun)
    made = [
        Record(bucket="inbox", key=ref.key, etag="e", state="done", space_id="space", captions_version="captions@1")
        for ref in refs
    ]
    assert ledger.finish(made, 3.0) == [True] * 200
    assert ledger.finish(made, 3.0) == [False] * 200
    assert records.counts()["done"] == 200
    assert ledger.remove([ref.id for ref in refs] + ["inbox/nothing.png"]) == [True] * 200 + [False]
    assert records.counts()["done"] == 0


def test_a_head_of_any_length_is_read(ledger: Ledger, records: Records) -> None:
    """Longer than what is usually read of a record."""
    ref = ObjectRef("inbox", "a.png", "e" * 700)
    arrival = Arrival(ref, verified=True)
    assert ledger.enter([arrival], REVISION, 1.0, 60.0) == ["entered"]
    record = Record(
        bucket="inbox", key="a.png", etag=ref.etag, state="done", space_id="space", captions_version="captions@1"
    )
    assert ledger.finish([record], 2.0) == [True]
    assert ledger.enter([arrival], REVISION, 3.0, 60.0) == ["done"]
    assert records.known([ref.id]) == [(ref.etag, "")]
    assert [head and head.etag for head in records.heads.of([ref.id, "inbox/none.png"])] == [ref.etag, None]
