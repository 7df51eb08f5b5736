"""What readers say of partitioned records is what they say of the same records in one partition."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.message_parts import ObjectRef, Revision
from tests.contract.lifecycle.partitioned_stores import Stores, record
from tests.contract.lifecycle.partitioned_stores import stores as stores  # noqa: PLC0414 -- a fixture
from workers.dispatch.batch_objects import BatchObjects
from workers.dispatch.partitioned_batch_objects import PartitionedBatchObjects
from workers.dispatch.partitioned_interrupted import PartitionedInterrupted
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.ledger import Arrival
from workers.lifecycle.partitioned_progress import PartitionedProgress
from workers.lifecycle.partitioned_statements import PartitionedStatements
from workers.lifecycle.partitioned_versions import PartitionedVersions
from workers.lifecycle.record import STATES, State
from workers.lifecycle.record_reader import Records
from workers.lifecycle.record_times import RecordPlace
from workers.lifecycle.record_versions import RecordVersions
from workers.lifecycle.statements import Statement, Statements
from workers.redis.keys import Keys
from workers.segmentation.partitioned_requests import PartitionedRequests

REVISION = Revision("space", "captions@1")
LABELS = ["Egyptian cats", "egyptian-cat", "cat", "Cat", "golden retriever", "dog", "moka pot", "猫", "a", "b", "c"]


happening = st.tuples(
    st.integers(0, 30),
    st.sampled_from([*STATES, "removed", "done", "done"]),
    st.lists(st.sampled_from(LABELS), max_size=3, unique=True),
)


@pytest.mark.parametrize("stores", [3], indirect=True)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happens=st.lists(happening, max_size=30), size=st.sampled_from([3, 10]))
def test_readers_say_the_same(stores: Stores, happens: list[tuple[int, Any, list[str]]], size: int) -> None:
    stores.client.flushall()
    for place, (number, state, labels) in enumerate(happens):
        key = f"{'ab'[number % 2]}/{number}.png"
        if state == "removed":
            stores.both(lambda ledger: ledger.remove([f"inbox/{key}"]))  # noqa: B023 -- called at once
        else:
            stores.finish(record(key, str(place), state, labels, 0.99 - place / 1000), 1.8e9 + place)
    every = [f"inbox/{'ab'[n % 2]}/{n}.png" for n in range(31)]
    stores.same(lambda records: records.counts())
    stores.same(lambda records: records.get(every))
    stores.same(lambda records: records.known(every))
    stores.same(lambda records: records.labelled(every))
    for prefix in ("", "a/", "b/1", "c"):
        assert len(stores.same(lambda records: list(records.keys("inbox", prefix)))) == stores.same(  # noqa: B023
            lambda records: records.count_in("inbox", prefix)  # noqa: B023
        )
    stores.same(lambda records: list(records.keys("inbox", "", "a/2.png", "b/3.png")))
    listed: list[State | None] = [None, *STATES]
    for which in listed:
        stores.same(lambda records: record_pages(records, size, which))  # noqa: B023
        stores.same(lambda records: list(records.oids(which)))  # noqa: B023
    stores.same(lambda records: list(records.latest(20)))
    for label in LABELS[:6]:
        stores.same(lambda records: sorted(records.tag_index.tagged(label)))  # noqa: B023
        stores.same(lambda records: records.tag_index.spelling(label))  # noqa: B023
        stores.same(lambda records: records.tag_hints.unknown([label]))  # noqa: B023
        for limit in (size, 100):
            stores.same(lambda records: hits(records, label, 0.4, limit))  # noqa: B023
    for limit in (2, 50):
        stores.same(lambda records: records.tag_index.common(limit))  # noqa: B023
        for prefix in ("", "cats"):
            stores.same(lambda records: tags_of(records, prefix, limit))  # noqa: B023
    versions = RecordVersions(stores.client, Keys("{plain}:"), "space")
    clients = (stores.client,) * stores.partitions.count
    spread = PartitionedVersions(stores.partitions, stores.client, clients, "space")
    assert list(versions.pages(size)) == list(spread.pages(size))
    assert versions.page(None, size) == spread.page(None, size)
    assert versions.of(every) == spread.of(every)
    assert (versions.count(), versions.busy()) == (spread.count(), spread.busy())


def record_pages(records: Records, size: int, state: State | None) -> list[list[str]]:
    found: list[list[str]] = []
    after: RecordPlace | None = None
    while True:
        page, after = records.page(after, size, state)
        found.append([one.id for one in page])
        if after is None:
            return found


def hits(records: Records, label: str, min_score: float, limit: int) -> list[Any]:
    index = records.tag_index
    best, every = index.best(label, min_score, limit), index.ranked(label, min_score)
    assert every[: len(best)] == best
    return [index.read(label, places) for places in (best, every)]


def tags_of(records: Records, prefix: str, limit: int) -> list[Any]:
    index = records.tag_index
    forms = index.listed(prefix, limit)
    assert index.all_listed(prefix)[:limit] == forms
    return index.counted(index.all_listed(prefix))


def test_records_with_one_time_and_one_rank_are_each_listed_once(stores: Stores) -> None:
    """Their order is that of the partitions; no page has one twice, none is left out."""
    for number in range(40):
        stores.finish(record(f"{number}.png", "e", "done", ["cat"], 0.5), 1.8e9)
    for size in (1, 7, 40, 100):
        newest = [oid for page in record_pages(stores.spread_records, size, None) for oid in page]
        assert sorted(newest) == sorted(f"inbox/{number}.png" for number in range(40))
        best, every = hits(stores.spread_records, "cat", 0.0, size)
        assert len(best) == min(size, 40)
        assert len({hit.record.key for hit in every if hit}) == len(every) == 40


def test_more_labels_than_one_page_of_each_partition(stores: Stores) -> None:
    """The most frequent labels are not the first ones of every partition, and are still in their places."""
    for number in range(60):
        labels = [f"thing {number % 7}", f"thing {number % 11}", f"only {number}"]
        stores.finish(record(f"{number}.png", "e", "done", labels, 0.9), 1.8e9 + number)
    for limit in (1, 2, 5, 20, 100):
        stores.same(lambda records: records.tag_index.common(limit))  # noqa: B023
        stores.same(lambda records: tags_of(records, "thing", limit))  # noqa: B023


def test_the_ledger_divides_and_claims_in_turn(stores: Stores) -> None:
    refs = [ObjectRef("inbox", f"{number}.png", "e") for number in range(100)]
    stores.both(lambda ledger: ledger.enter([Arrival(ref) for ref in refs], REVISION, 1.0, 60.0))
    stores.both(lambda ledger: [x and x.method for x in ledger.advance(refs, REVISION, "embedding", 61.0, now=2.0)])
    stores.both(lambda ledger: ledger.waiting())
    stores.both(lambda ledger: ledger.in_flight())
    stores.both(lambda ledger: ledger.segmentation_methods(refs))
    assert stores.spread.overdue(60.0, 200.0) == []
    claimed = [one.ref for _ in range(10) for one in stores.spread.overdue(100.0, 200.0, limit=10)]
    assert sorted(ref.key for ref in claimed) == sorted(ref.key for ref in refs)
    assert stores.spread.overdue(100.0, 200.0) == []
    assert len(stores.spread.overdue_by(200.0, 300.0)) == 100
    stores.both(lambda ledger: ledger.postpone(refs[:50], REVISION, 400.0, "no", now=10.0))
    stores.same(lambda records: sorted(one.fault or "" for one in records.pending(100)))


def test_progress_of_one_long_job_keeps_what_waits_behind_it_in_other_partitions(stores: Stores) -> None:
    refs = [ObjectRef("inbox", f"{number}.png", "e") for number in range(20)]
    arrivals = [Arrival(ref, rule="dense", from_queue=True) for ref in refs]
    stores.both(lambda ledger: ledger.enter(arrivals, REVISION, 1.0, 60.0))
    for place, ref in enumerate(refs):
        stores.both(
            lambda ledger: bool(
                ledger.advance([ref], REVISION, "segmentation", 60.0, now=10.0 + place, handed=True)  # noqa: B023
            )
        )
    stores.both(lambda ledger: ledger.extend(refs[5], "segmentation", 500.0))
    plain, spread = stores.plain.overdue(100.0, 900.0), stores.spread.overdue(100.0, 900.0)
    assert [one.ref.key for one in plain] == [f"{number}.png" for number in range(5)]
    assert sorted(one.ref.key for one in spread) == sorted(one.ref.key for one in plain)


def test_positions_of_queued_objects_count_all_partitions(stores: Stores) -> None:
    refs = [ObjectRef("inbox", f"{number}.png", "e") for number in range(20)]
    for place, ref in enumerate(refs):
        arrival = Arrival(ref)
        stores.both(lambda ledger: ledger.enter([arrival], REVISION, 1.0, 60.0 + place // 2))  # noqa: B023
    clients = (stores.client,) * stores.partitions.count
    looked = PartitionedProgress(stores.partitions, stores.client, clients).look([ref.id for ref in refs])
    positions = [one.position for one in looked if one is not None and one.position is not None]
    assert sorted(positions) == list(range(20))
    assert [position // 2 for position in positions] == [number // 2 for number in range(20)]
    assert PartitionedProgress(stores.partitions, stores.client, clients).waiting() == 20


def test_what_people_said_and_its_revision(stores: Stores) -> None:
    plain = Statements(stores.client, Keys("{plain}:"))
    spread = PartitionedStatements(stores.partitions, stores.client, (stores.client,) * stores.partitions.count)
    revisions = [spread.revision()]
    for number in range(12):
        for statements in (plain, spread):
            statements.change(
                f"inbox/{number % 7}.png", f"label {number}", Statement(f"label {number}", True, "e", 1.0)
            )
            statements.adopt(f"inbox/{number % 7}.png", "e", "f")
        revisions.append(spread.revision())
    assert revisions == sorted(set(revisions))
    assert spread.objects() == plain.objects()
    assert list(spread.all()) == list(plain.all())
    page = spread.page(None, 5)
    assert page == plain.page(None, 5)
    after = page[-1][0], "label 7"
    assert spread.page(after, 5) == plain.page(after, 5)
    spread.mark_restored(1.8e9)
    assert spread.restored()
    assert spread.revision() > 1.8e12


def test_batches_are_spread_and_counted_once(stores: Stores) -> None:
    plain = BatchObjects(stores.client, Keys("{plain}:"))
    spread = PartitionedBatchObjects(stores.partitions, stores.client, (stores.client,) * stores.partitions.count)
    events = [ObjectEvent("created", "inbox", f"{number}.png") for number in range(30)]
    for objects in (plain, spread):
        objects.enter("x", events, announce=True)
        objects.enter("x", [], announce=True, also=lambda pipe: pipe.set("noted", 1))
        members = [member for page, told in objects.open("x") for member, at in page if at >= told]
        assert sorted(members) == sorted(f"inbox/{number}.png".encode() for number in range(30))
        ended = [(member, "failed" if n % 3 == 0 else "done") for n, member in enumerate(sorted(members))]
        for _ in range(2):
            objects.move("x", ended[:20])
    assert stores.client.get("noted") == b"1"
    assert plain.number_open(["x", "y"]) == spread.number_open(["x", "y"]) == [10, 0]
    for objects in (plain, spread):
        seen: list[bytes] = []
        starts: list[int] | None = None
        while True:
            _, failed, starts = objects.ended("x", starts, 3)
            seen += failed
            if starts is None:
                break
            assert len(failed) == 3
            objects.move("x", ended[20:])  # a later failure comes behind those that are listed
        assert sorted(seen) == sorted(member for member, state in ended if state == "failed")
    inboxes = [stores.client.xlen(keys.inbox) for keys in stores.partitions.all]
    assert sum(inboxes) == 30
    assert max(inboxes) < 30


def test_interrupted_objects_and_requests_are_in_their_partitions(stores: Stores) -> None:
    clients = (stores.client,) * stores.partitions.count
    interrupted = PartitionedInterrupted(stores.partitions, clients)
    oids = [f"inbox/{number}.png" for number in range(20)]
    interrupted.put("inbox", oids, oids)
    seen: list[str] = []
    for page in interrupted.pages("inbox"):
        seen += page
        interrupted.discard("inbox", page)
    assert sorted(seen) == sorted(oid.removeprefix("inbox/") for oid in oids)
    assert list(interrupted.pages("inbox")) == []
    PartitionedRequests(stores.partitions, clients).ask(oids, "dense")
    for oid in oids:
        keys = stores.partitions.keys(stores.partitions.of(oid))
        assert stores.client.get(keys.segmentation_request(oid)) == b"dense"
