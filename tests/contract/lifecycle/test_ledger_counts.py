"""What the ledger counts: each thing once, whatever is refused, repeated or sent again; summed over partitions."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.message_parts import ObjectRef, Revision, Tag
from tests.contract.own_cluster import PREFIX
from workers.dispatch.interrupted import Interrupted
from workers.dispatch.partitioned_interrupted import PartitionedInterrupted
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.ledger_counts import LedgerReader, PartitionedLedgerReader
from workers.lifecycle.partitioned_ledger import PartitionedLedger
from workers.lifecycle.record import Error, Record, State
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.redis.partitions import Partitions

REVISION = Revision("space", "captions@1")
PARTITIONS = 4


@pytest.fixture
def spread(client: Client) -> tuple[Partitions, tuple[Client, ...]]:
    return Partitions(Keys(PREFIX), PARTITIONS), (client,) * PARTITIONS


@pytest.fixture
def ledger(client: Client, keys: Keys, spread: tuple[Partitions, tuple[Client, ...]], *, partitioned: bool) -> Ledger:
    return PartitionedLedger(spread[0], client, spread[1], 100) if partitioned else Ledger(client, keys, 100)


@pytest.fixture
def reader(
    client: Client, keys: Keys, spread: tuple[Partitions, tuple[Client, ...]], *, partitioned: bool
) -> LedgerReader:
    return PartitionedLedgerReader(*spread) if partitioned else LedgerReader(client, keys)


@pytest.fixture
def interrupted(
    client: Client, keys: Keys, spread: tuple[Partitions, tuple[Client, ...]], *, partitioned: bool
) -> Interrupted:
    return PartitionedInterrupted(*spread) if partitioned else Interrupted(client, keys)


def refs(number: int, etag: str = "a") -> list[ObjectRef]:
    return [ObjectRef("inbox", f"{n}.jpg", etag) for n in range(number)]


def record(of: ObjectRef, state: State = "done", code: str = "") -> Record:
    return Record(
        bucket=of.bucket, key=of.key, etag=of.etag, state=state, space_id="space", captions_version="captions@1",
        tags=(Tag("cat", 0.5, 0.5, 0.5),) if state == "done" else (), error=Error(code, "why") if code else None,
    )  # fmt: skip


def enter(ledger: Ledger, of: list[ObjectRef], now: float = 100.0, *, force: bool = False) -> list[str]:
    return ledger.enter([Arrival(one, force=force) for one in of], REVISION, now, now + 60)


def test_each_count_is_made_once(ledger: Ledger, reader: LedgerReader) -> None:
    many = refs(40)
    enter(ledger, many)
    enter(ledger, many)  # duplicates
    ledger.advance(many, REVISION, "embedding", 200.0, now=103.0, begin=True)
    ledger.advance(many, REVISION, "embedding", 200.0, now=103.0, begin=True)  # the call is repeated: no answer came
    ledger.put_on("retrieval", many[:30], REVISION, 104.0)
    ledger.put_on("retrieval", many[:30], REVISION, 104.0)
    ledger.put_on("retrieval", refs(40, "another version"), REVISION, 104.0)
    ledger.advance(many[:30], REVISION, "retrieval", 200.0, now=110.0)
    ledger.postpone(many[:5], REVISION, 130.0, "away", now=112.0)
    ledger.postpone(many[:5], REVISION, 130.0, "away", now=112.0)
    for _ in range(2):
        ledger.put_on("embedding", many[:5], REVISION, 130.0, "again")
    records = [record(one) for one in many[5:20]]
    records += [record(one, "failed", "truncated") for one in many[20:22]]
    records += [record(many[22], "dead", "poisonous"), record(many[23], "failed", "/home/me/secret.jpg")]
    assert ledger.finish(records, 115.0) == [True] * 19
    assert ledger.finish(records, 116.0) == [False] * 19

    counts = reader.counts()
    assert counts.accepted == 40
    assert counts.finished == {
        ("done", ""): 15, ("failed", "truncated"): 2, ("dead", "poisonous"): 1, ("failed", "other"): 1
    }  # fmt: skip
    assert counts.attempts == {"embedding": 40, "retrieval": 30}
    assert counts.postponed == {"retrieval": 5}
    assert counts.retries == {"waiting": 5}
    assert counts.duration.buckets == {30.0: 19}
    assert counts.duration.total == 19 * 15
    assert counts.stages["embedding"].buckets == {5.0: 30}  # since they were accepted: the queue is part of it
    assert counts.stages["retrieval"].buckets == {10.0: 5, 30.0: 19}
    assert counts.stages["retrieval"].total == 5 * 8 + 19 * 11
    assert counts.stages["waiting"].buckets == {30.0: 5}

    state = reader.state()
    assert (state.objects, state.since) == (21, 100.0)
    assert {name: (one.objects, one.since) for name, one in state.queues.items() if one.objects} == {
        "embedding": (15, 100.0), "retrieval": (6, 104.0)
    }  # fmt: skip


def test_objects_that_were_tagged_before_are_in_the_queue_that_they_are_put_on(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """The dispatcher sends them to retrieval, so embedding has nothing to do with them."""
    many = refs(4)
    enter(ledger, many)
    assert ledger.finish([record(one) for one in many[:3]], 110.0) == [True] * 3
    assert enter(ledger, many[:3], 120.0, force=True) == ["known"] * 3
    assert {name: (one.objects, one.since) for name, one in reader.state().queues.items() if one.objects} == {
        "embedding": (1, 100.0), "retrieval": (3, 120.0)
    }  # fmt: skip
    ledger.advance(many[:3], REVISION, "retrieval", 200.0, now=125.0)
    ledger.put_on("embedding", many[:1], REVISION, 126.0)  # its vector is not there
    assert ledger.finish([record(one) for one in many[1:3]], 130.0) == [True] * 2
    assert reader.counts().stages["embedding"].total == 3 * 10
    assert reader.counts().stages["retrieval"].total == 6 + 2 * 10
    assert {name: one.objects for name, one in reader.state().queues.items() if one.objects} == {"embedding": 2}


def test_objects_that_leave_without_a_record_are_counted_by_their_reason(
    ledger: Ledger, reader: LedgerReader, interrupted: Interrupted
) -> None:
    many = refs(8)
    enter(ledger, many)
    assert enter(ledger, refs(2, "newer"), 101.0) == ["entered"] * 2
    ledger.remove([one.id for one in many[2:4]])
    ledger.remove([one.id for one in many[2:4]])
    interrupted.put("inbox", [one.id for one in many[4:7]], ())
    interrupted.put("inbox", [one.id for one in many[4:7]], ())
    counts, state = reader.counts(), reader.state()
    assert counts.accepted == 10
    assert counts.withdrawn == {"replaced": 2, "removed": 2, "held": 3}
    assert (state.objects, state.queues["embedding"].objects, state.since) == (3, 3, 100.0)
    assert counts.finished == {}


def test_a_loss_of_redis_begins_at_nothing(ledger: Ledger, reader: LedgerReader, client: Client) -> None:
    enter(ledger, refs(3))
    client.flushall()
    assert reader.counts().accepted == 0
    assert (reader.state().objects, reader.state().since) == (0, None)


def test_objects_that_an_older_version_entered_or_finished_disturb_no_count(
    ledger: Ledger, reader: LedgerReader, client: Client, keys: Keys, *, partitioned: bool
) -> None:
    many = refs(300)
    enter(ledger, many)
    parts = Partitions(Keys(PREFIX), PARTITIONS)
    of = {one.id: parts.keys(parts.of(one.id)) if partitioned else keys for one in many}
    for one in many[:250]:  # an older version finishes them
        client.delete(of[one.id].entry(one.id))
        client.zrem(of[one.id].ledger, one.id)
    for one in many[250:]:  # and has entered these
        client.zrem(of[one.id].ledger_queue("embedding"), one.id)
        client.zrem(of[one.id].ledger_accepted, one.id)
    state = reader.state()
    while reader.state() != state:
        state = reader.state()
    assert (state.objects, state.queues["embedding"].objects) == (50, 0)
    ledger.advance(many[250:], REVISION, "retrieval", 200.0, now=103.0)
    assert ledger.finish([record(one) for one in many[250:]], 104.0) == [True] * 50
    counts = reader.counts()
    assert counts.stages["embedding"].buckets == {5.0: 50}
    assert counts.stages["retrieval"].buckets == {1.0: 50}
    assert reader.state().objects == 0


STEPS = ["enter", "again", "newer", "embedding", "retrieval", "resend", "postpone", "finish", "remove", "hold"]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 2)), max_size=25))
def test_what_was_accepted_is_finished_or_withdrawn_or_there(
    ledger: Ledger, reader: LedgerReader, client: Client, interrupted: Interrupted, steps: list[tuple[str, int]]
) -> None:
    client.flushall()
    etags, now = ["a"] * 3, 100.0
    for step, n in steps:
        now += 1.5
        if step == "newer":
            etags[n] += "a"
        one = ObjectRef("inbox", f"{n}.jpg", etags[n])
        if step in ("enter", "again", "newer"):
            enter(ledger, [one], now, force=step == "again")
        elif step in ("embedding", "retrieval"):
            ledger.advance([one], REVISION, step, now + 60, now=now)
            ledger.put_on("retrieval", [one], REVISION, now)
        elif step == "resend":
            ledger.put_on("embedding", [one], REVISION, now, "again")
        elif step == "postpone":
            ledger.postpone([one], REVISION, now + 30, "away", now=now)
        elif step == "finish":
            ledger.finish([record(one)], now)
        elif step == "remove":
            ledger.remove([one.id])
        else:
            interrupted.put("inbox", [one.id], ())
        counts, state = reader.counts(), reader.state()
        finished = sum(counts.finished.values())
        assert counts.accepted == finished + sum(counts.withdrawn.values()) + state.objects
        assert state.objects == sum(queue.objects for queue in state.queues.values()) == ledger.in_flight()
        assert finished == sum(counts.duration.buckets.values())
        assert counts.duration.total <= sum(stage.total for stage in counts.stages.values())
