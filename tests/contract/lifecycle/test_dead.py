"""Dead objects: which there are, and that acknowledged ones are counted no more until they get another record."""

from __future__ import annotations

import pytest

from tasks.message_parts import ObjectRef, Revision
from workers.lifecycle.dead import DeadFilter, DeadObjects
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Error, Record, State
from workers.lifecycle.record_reader import Records

REVISION = Revision("space", "captions@1")


def finish(ledger: Ledger, key: str, state: State, at: float, code: str = "poisonous", etag: str = "e") -> None:
    arrival = Arrival(ObjectRef("inbox", key, etag), verified=True, force=True)
    ledger.enter([arrival], REVISION, at, at + 60)
    error = None if state == "done" else Error(code, f"{code}: it may crash the worker")
    record = Record(
        bucket="inbox", key=key, etag=etag, state=state, space_id="space", captions_version="captions@1", error=error,
        finished_at=at,
    )  # fmt: skip
    assert ledger.finish([record], at) == [True]


@pytest.fixture
def dead(ledger: Ledger, records: Records) -> DeadObjects:
    for n, (key, state, code) in enumerate([
        ("a/1.png", "dead", "poisonous"), ("a/2.png", "dead", "gave-up"), ("b/3.png", "dead", "poisonous"),
        ("b/4.png", "failed", "too-large"), ("b/5.png", "done", ""),
    ]):  # fmt: skip
        finish(ledger, key, state, 100.0 + n, code)  # type: ignore[arg-type]  # a state
    return DeadObjects(records)


def keys_of(dead: DeadObjects, **which: object) -> list[str]:
    return [record.key for record in dead.all(DeadFilter("inbox", **which))]  # type: ignore[arg-type]  # any of them


def test_they_are_listed_by_reason_prefix_time_and_state(dead: DeadObjects) -> None:
    assert keys_of(dead) == ["b/3.png", "a/2.png", "a/1.png"]
    assert keys_of(dead, codes=("poisonous",)) == ["b/3.png", "a/1.png"]
    assert keys_of(dead, prefix="a/", codes=("poisonous",)) == ["a/1.png"]
    assert keys_of(dead, since=101.0) == ["b/3.png", "a/2.png"]
    assert keys_of(dead, state="failed") == ["b/4.png"]
    found, missing = dead.of("inbox", ["a/1.png", "b/4.png", "none"], "dead")
    assert ([record.key for record in found], missing) == (["a/1.png"], ["b/4.png", "none"])


def test_acknowledged_ones_are_counted_no_more_and_stay_in_every_list(
    dead: DeadObjects, ledger: Ledger, records: Records
) -> None:
    oids = [f"inbox/{key}" for key in ("a/1.png", "b/4.png", "b/5.png", "none")]
    assert ledger.acknowledge(oids) == ["acknowledged", "not-dead", "not-dead", "not-dead"]
    assert ledger.acknowledge(oids[:1]) == ["already"]
    counts = records.counts()
    assert (counts["dead"], counts["acknowledged"], counts["failed"], counts["done"]) == (2, 1, 1, 1)
    assert keys_of(dead) == ["b/3.png", "a/2.png"]
    assert keys_of(dead, acknowledged=True) == ["b/3.png", "a/2.png", "a/1.png"]
    assert [one.key for one in records.latest(state="dead")] == ["b/3.png", "a/2.png", "a/1.png"]
    assert len(list(records.latest())) == 5
    assert records.page(None, 2)[0][0].key == "b/5.png"
    (record,) = records.get(["inbox/a/1.png"])
    assert record is not None
    assert record.state == "dead"
    assert dead.acknowledged([record]) == [True]


@pytest.mark.parametrize("etag", ["e", "another"], ids=["tagged-again", "new-version"])
@pytest.mark.parametrize("state", ["dead", "failed", "done"])
def test_the_next_record_clears_the_mark(
    dead: DeadObjects, ledger: Ledger, records: Records, etag: str, state: State
) -> None:
    ledger.acknowledge(["inbox/a/1.png"])
    before = records.counts()
    finish(ledger, "a/1.png", state, 200.0, etag=etag)
    counts = records.counts()
    assert counts["acknowledged"] == 0
    assert counts[state] == before[state] + 1
    (record,) = records.get(["inbox/a/1.png"])
    assert record is not None
    assert dead.acknowledged([record]) == [False]


def test_an_event_without_a_new_version_does_not_bring_it_back(
    dead: DeadObjects, ledger: Ledger, records: Records
) -> None:
    ledger.acknowledge(["inbox/a/1.png"])
    assert ledger.enter([Arrival(ObjectRef("inbox", "a/1.png", "e"), verified=True)], REVISION, 300.0, 360.0) == [
        "done"
    ]
    assert records.counts()["acknowledged"] == 1
    assert keys_of(dead, codes=("poisonous",)) == ["b/3.png"]


def test_a_removed_one_leaves_nothing(dead: DeadObjects, ledger: Ledger, records: Records) -> None:
    ledger.acknowledge(["inbox/a/1.png"])
    assert ledger.remove(["inbox/a/1.png"]) == [True]
    assert records.counts()["acknowledged"] == 0
    assert len(list(dead.all(DeadFilter("inbox", acknowledged=True)))) == 2
