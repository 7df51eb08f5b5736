"""The ledger's promise: one final record for the current version of an object, whatever comes in which order."""

from __future__ import annotations

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tasks.message_parts import ObjectRef, Revision, Tag
from tests.contract.partitioned import keys_of
from workers.lifecycle.deadlines import LONGEST_S
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.outcomes import Acceptance
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import Records
from workers.redis.connection import Client
from workers.redis.keys import Keys

REVISION = Revision("space", "captions@1")
STEPS = ["enter", "look", "finish", "remove"]


def ref(etag: str, key: str = "cat.jpg") -> ObjectRef:
    return ObjectRef("inbox", key, etag)


def record(of: ObjectRef, *labels: str, revision: Revision = REVISION) -> Record:
    return Record(
        bucket=of.bucket, key=of.key, etag=of.etag, state="done" if labels else "failed",
        space_id=revision.space_id, captions_version=revision.captions_version,
        tags=tuple(Tag(label, 0.5, 0.5, 0.5) for label in labels),
    )  # fmt: skip


def enter(ledger: Ledger, *arrivals: Arrival, revision: Revision = REVISION) -> list[str]:
    return list(ledger.enter(arrivals, revision, now=100.0, deadline=160.0))


def test_an_object_leaves_the_ledger_by_its_record(
    ledger: Ledger, records: Records, client: Client, keys: Keys
) -> None:
    assert enter(ledger, Arrival(ref("a"))) == ["entered"]
    assert ledger.in_flight() == 1
    assert ledger.finish([record(ref("a"), "cat", "tabby")], 101.0) == [True]
    assert ledger.in_flight() == 0
    (found,) = records.get(["inbox/cat.jpg"])
    assert found is not None
    assert [tag.label for tag in found.tags] == ["cat", "tabby"]
    assert records.tag_index.common() == [("tabby", 1), ("cat", 1)]
    assert records.counts() == {
        "inbox": 0, "segments": 0, "in_flight": 0, "done": 1, "failed": 0, "dead": 0, "skipped": 0,
        "acknowledged": 0,
    }  # fmt: skip
    assert all(key.startswith(keys_of(keys, "inbox/cat.jpg").prefix.encode()) for key in client.scan_iter())


def test_a_record_is_written_once(ledger: Ledger) -> None:
    enter(ledger, Arrival(ref("a")))
    assert ledger.finish([record(ref("a"), "cat"), record(ref("a"), "dog")], 101.0) == [True, False]


def test_what_is_done_or_on_its_way_is_not_entered_again(ledger: Ledger) -> None:
    assert enter(ledger, Arrival(ref("a")), Arrival(ref("a"))) == ["entered", "duplicate"]
    ledger.finish([record(ref("a"), "cat")], 101.0)
    assert enter(ledger, Arrival(ref("a"))) == ["done"]
    assert enter(ledger, Arrival(ref("a"), force=True)) == ["known"]


def test_another_revision_is_tagged_again(ledger: Ledger) -> None:
    enter(ledger, Arrival(ref("a")))
    ledger.finish([record(ref("a"), "cat")], 101.0)
    newer = Revision("space", "captions@2")
    assert enter(ledger, Arrival(ref("a")), revision=newer) == ["known"]
    assert ledger.finish([record(ref("a"), "late")], 102.0) == [False]
    assert ledger.finish([record(ref("a"), "cat", revision=newer)], 103.0) == [True]


def test_what_is_on_its_way_finishes_with_the_captions_it_began_with(ledger: Ledger) -> None:
    enter(ledger, Arrival(ref("a")))
    newer = Revision("space", "captions@2")
    assert enter(ledger, Arrival(ref("a")), revision=newer) == ["duplicate"]
    assert ledger.finish([record(ref("a"), "cat")], 101.0) == [True]
    enter(ledger, Arrival(ref("b", "b.jpg")))
    assert enter(ledger, Arrival(ref("b", "b.jpg"), force=True), revision=newer) == ["entered"]
    assert ledger.finish([record(ref("b", "b.jpg"), "cat")], 102.0) == [False]


def test_what_was_tagged_in_another_space_or_not_at_all_is_not_known(ledger: Ledger) -> None:
    enter(ledger, Arrival(ref("a")))
    ledger.finish([record(ref("a"), "cat")], 101.0)
    assert enter(ledger, Arrival(ref("a")), revision=Revision("other space", "captions@1")) == ["entered"]
    enter(ledger, Arrival(ref("b", "b.jpg")))
    ledger.finish([record(ref("b", "b.jpg"))], 102.0)
    assert enter(ledger, Arrival(ref("b", "b.jpg"), force=True)) == ["entered"]


def test_vectors_of_another_space_are_not_waited_for(ledger: Ledger) -> None:
    enter(ledger, Arrival(ref("a")))
    other = Revision("another space", "captions@1")
    assert enter(ledger, Arrival(ref("a")), revision=other) == ["entered"]
    assert ledger.finish([record(ref("a"), "cat")], 101.0) == [False]


def test_a_late_result_never_overwrites_a_newer_version(ledger: Ledger, records: Records) -> None:
    enter(ledger, Arrival(ref("a")), Arrival(ref("b")))
    assert ledger.finish([record(ref("a"), "old")], 101.0) == [False]
    assert ledger.finish([record(ref("b"), "new")], 102.0) == [True]
    assert ledger.finish([record(ref("a"), "old")], 103.0) == [False]
    assert records.tag_index.common() == [("new", 1)]


def test_an_older_event_does_not_displace_a_newer_one(ledger: Ledger) -> None:
    assert enter(ledger, Arrival(ref("b"), "02"), Arrival(ref("a"), "01")) == ["entered", "stale"]
    ledger.finish([record(ref("b"), "cat")], 101.0)
    assert enter(ledger, Arrival(ref("a"), "01")) == ["stale"]
    # what was seen in the bucket counts, whatever its time: a restored backup is older
    assert enter(ledger, Arrival(ref("a"), "01", verified=True)) == ["entered"]


def test_a_late_event_is_undone_by_a_look_into_the_bucket(ledger: Ledger) -> None:
    enter(ledger, Arrival(ref("b")))
    ledger.finish([record(ref("b"), "cat")], 101.0)
    assert enter(ledger, Arrival(ref("a"))) == ["entered"]
    assert enter(ledger, Arrival(ref("b"), verified=True)) == ["done"]
    assert ledger.in_flight() == 0


def test_overwriting_moves_the_indexes(ledger: Ledger, records: Records) -> None:
    enter(ledger, Arrival(ref("a")))
    ledger.finish([record(ref("a"), "cat", "tabby")], 101.0)
    enter(ledger, Arrival(ref("b")))
    ledger.finish([record(ref("b"), "dog")], 102.0)
    assert records.tag_index.common() == [("dog", 1)]
    enter(ledger, Arrival(ref("c")))
    ledger.finish([record(ref("c"))], 103.0)
    assert records.tag_index.common() == []
    assert records.counts()["failed"] == 1
    assert records.counts()["done"] == 0


def test_removing_forgets_everything(ledger: Ledger, client: Client, keys: Keys) -> None:
    enter(ledger, Arrival(ref("a")))
    ledger.finish([record(ref("a"), "cat")], 101.0)
    enter(ledger, Arrival(ref("b")))
    assert ledger.remove(["inbox/cat.jpg", "inbox/unknown"]) == [True, False]
    assert ledger.finish([record(ref("b"), "late")], 102.0) == [False]
    own = keys_of(keys, "inbox/cat.jpg")
    assert set(client.scan_iter()) == {key.encode() for key in (own.feed, own.last_number, own.ledger_counts)}
    assert [item.record is None for item in Records(client, own).feed("0-0", block_ms=1)] == [False, True]


def test_deadlines(ledger: Ledger) -> None:
    enter(ledger, Arrival(ref("a")), Arrival(ref("x", "dog.jpg")))
    assert ledger.overdue(159.0, 300.0) == []
    begun = ledger.advance([ref("a"), ref("gone", "no.jpg")], REVISION, "embedding", 200.0, now=100.0, begin=True)
    assert begun == [Acceptance(100.0, entered={"embedding": 100.0}, since=100.0), None]
    (taken,) = ledger.overdue(161.0, 300.0)
    assert (taken.ref.key, taken.stage, taken.attempts) == ("dog.jpg", "queued", 0)
    assert ledger.overdue(161.0, 300.0) == []
    (taken,) = ledger.overdue(201.0, 300.0)
    assert (taken.ref.key, taken.stage, taken.attempts) == ("cat.jpg", "embedding", 1)


def test_far_deadlines_are_whole_seconds_and_never_earlier(ledger: Ledger, client: Client, keys: Keys) -> None:
    """Fractions make a list of hundreds of objects slow; near deadlines are exact."""
    cat = ref("a")
    ledger.enter([Arrival(cat)], REVISION, 100.25, 160.25)
    assert client.zscore(keys_of(keys, cat.id).ledger, cat.id) == 161
    ledger.advance([cat], REVISION, "embedding", 170.5, now=110.5)
    assert client.zscore(keys_of(keys, cat.id).ledger, cat.id) == 171
    ledger.advance([cat], REVISION, "embedding", 112.5, now=110.5)
    assert client.zscore(keys_of(keys, cat.id).ledger, cat.id) == 112.5


def test_a_claim_up_to_a_time_misses_no_deadline_that_was_rounded_up(ledger: Ledger) -> None:
    """The keeper sends what made no progress since a restart of Redis: deadlines are the time of it and later."""
    ledger.enter([Arrival(ref("a"))], REVISION, 100.25, 160.25)
    (taken,) = ledger.overdue_by(160.75, 300.0)
    assert taken.ref.key == "cat.jpg"


def test_deadlines_from_before_the_clock_was_set_back_are_no_reason_to_wait_for_hours(ledger: Ledger) -> None:
    back = 5 * 3600.0
    ledger.enter([Arrival(ref("a"))], REVISION, 100.0 + back, 160.0 + back)
    ledger.enter([Arrival(ref("a", "growing.jpg"))], REVISION, 100.0, 1000.0)  # it is looked at late on purpose
    assert ledger.overdue(200.0, 260.0) == []
    found = ledger.overdue(200.0 + LONGEST_S + 61.0, 8000.0)
    assert {one.ref.key for one in found} == {"cat.jpg", "growing.jpg"}


def test_a_transient_fault_is_no_attempt(ledger: Ledger) -> None:
    enter(ledger, Arrival(ref("a")))
    ledger.advance([ref("a")], REVISION, "embedding", 200.0, now=100.0, begin=True)
    ledger.postpone([ref("a"), ref("z", "no.jpg")], REVISION, 170.0, "the store is away", now=10.0)
    (taken,) = ledger.overdue(171.0, 300.0)
    assert (taken.attempts, taken.fault) == (0, "the store is away")
    ledger.advance([ref("a")], REVISION, "embedding", 200.0, now=100.0, begin=True)
    (taken,) = ledger.overdue(201.0, 300.0)
    assert taken.fault is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([("enter", "b"), ("finish", "b"), ("look", "a"), ("enter", "b")])
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from("abc")), max_size=20))
def test_whatever_happens_the_bucket_wins(
    ledger: Ledger, records: Records, client: Client, happens: list[tuple[str, str]]
) -> None:
    """After any history, a look into the bucket and one result leave exactly the record of what is there."""
    client.flushall()
    for what, etag in happens:
        if what == "remove":
            ledger.remove(["inbox/cat.jpg"])
        elif what == "finish":
            ledger.finish([record(ref(etag), etag)], 101.0)
        else:
            enter(ledger, Arrival(ref(etag), f"{ord(etag):02x}", verified=what == "look"))
    (answer,) = enter(ledger, Arrival(ref("b"), "62", verified=True))
    if answer != "done":
        ledger.finish([record(ref("b"), "b")], 102.0)
    assert ledger.in_flight() == 0
    assert [found.etag for found in records.latest()] == ["b"]
    assert records.tag_index.common() == [("b", 1)]
