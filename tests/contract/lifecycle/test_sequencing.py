"""The rule of order: an older version never overwrites a newer, in whatever order their events arrive."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.message_parts import ObjectRef, Revision
from tests.contract.partitioned import UNPARTITIONED
from tests.unit.events.samples import BUCKET, body, record
from workers.events.notification import webhook
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import Records
from workers.redis.connection import Client
from workers.redis.keys import Keys

REVISION = Revision("space", "captions@1")
OID = f"{BUCKET}/walks/dog.jpg"
# lengths and cases differ on purpose
SEQUENCERS = ["0055AED6DCD90281E5", "0055AED6DD", "18A5C0FFEE123456", "18A5C0FFEE123457", "18a5c0ffee12345a", "F8"]
VERSIONS = st.integers(0, len(SEQUENCERS) - 1)
STEPS = st.tuples(
    st.sampled_from(["notification", "notification", "result", "result", "removed", "seen", "retag"]), VERSIONS
)


def etag(version: int) -> str:
    return f"etag-{version}"


def arrival(version: int) -> Arrival:
    """As the dispatcher makes it of a webhook's body."""
    notification = webhook(body(record(eTag=etag(version), sequencer=SEQUENCERS[version])), BUCKET)
    (event,) = notification.events
    return Arrival(ObjectRef(event.bucket, event.key, event.etag, event.size, event.version_id), event.sequence)


def look(version: int, *, force: bool = False) -> Arrival:
    """As the dispatcher makes it of an S3 server's answer, which has no sequence. ``force``: to be tagged again."""
    return Arrival(ObjectRef(BUCKET, "walks/dog.jpg", etag(version)), verified=True, force=force)


def result(version: int) -> Record:
    return Record(
        bucket=BUCKET, key="walks/dog.jpg", etag=etag(version), state="done",
        space_id=REVISION.space_id, captions_version=REVISION.captions_version,
    )  # fmt: skip


@dataclass(frozen=True)
class Held:
    """A version, and whether it has an order: an event has a sequencer, a look into the bucket has none.

    ``forced``: it is to be tagged again, and so is every version that takes its place.
    """

    version: int
    ordered: bool
    forced: bool = False

    def newer(self, version: int) -> bool:
        """Whether an event of that version is an old story."""
        return self.ordered and version < self.version


class Model:
    """What must be known of the object: which version is on its way, and which has the record."""

    def __init__(self) -> None:
        self.waits: Held | None = None
        self.recorded: Held | None = None

    def notification(self, version: int) -> str:
        """An event is accepted unless a newer version is known."""
        recorded = self.recorded is not None and self.recorded.version == version
        if recorded and self.waits is None:
            return "done"
        if self.waits is not None and self.waits.version == version:
            return "duplicate"
        if any(held is not None and held.newer(version) for held in (self.waits, self.recorded)):
            return "stale"
        self.waits = Held(version, ordered=True, forced=self.forced(version))
        return "known" if recorded else "entered"

    def seen(self, version: int, *, force: bool = False) -> str:
        """The bucket is right, whatever events have arrived."""
        force = force or self.forced(version)
        if not force and self.recorded is not None and self.recorded.version == version:
            if self.waits is not None and not self.waits.forced:
                self.waits = None
            return "done"
        if self.waits is not None and self.waits.version == version:
            self.waits = replace(self.waits, forced=force or self.waits.forced)
            return "again" if force else "duplicate"
        self.waits = Held(version, ordered=False, forced=force)
        return "known" if self.recorded is not None and self.recorded.version == version else "entered"

    def forced(self, version: int) -> bool:
        """Whether another version in progress is to be tagged again."""
        return self.waits is not None and self.waits.version != version and self.waits.forced

    def result(self, version: int) -> bool:
        """A result counts if it is waited for."""
        if self.waits is None or self.waits.version != version:
            return False
        self.recorded, self.waits = self.waits, None
        return True

    def removed(self) -> None:
        self.waits = self.recorded = None


@UNPARTITIONED
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=30), VERSIONS, st.permutations(range(len(SEQUENCERS))))
def test_an_older_version_never_overwrites_a_newer_and_the_bucket_has_the_last_word(
    client: Client, keys: Keys, happens: list[tuple[str, int]], current: int, late: list[int]
) -> None:
    client.flushall()
    ledger, records, model = Ledger(client, keys, 100), Records(client, keys), Model()

    def enter(arrival: Arrival) -> str:
        (answer,) = ledger.enter([arrival], REVISION, 100.0, 160.0)
        return answer

    def recorded() -> str | None:
        (found,) = records.get([OID])
        return found.etag if found else None

    for what, version in happens:
        if what == "notification":
            assert enter(arrival(version)) == model.notification(version)
        elif what == "seen":
            assert enter(look(version)) == model.seen(version)
        elif what == "retag":
            assert enter(look(version, force=True)) == model.seen(version, force=True)
        elif what == "result":
            assert ledger.finish([result(version)], 101.0) == [model.result(version)]
        else:
            ledger.remove([OID])
            model.removed()
        assert recorded() == (None if model.recorded is None else etag(model.recorded.version))
        assert ledger.in_flight() == (model.waits is not None)
    enter(look(current))
    ledger.finish([result(version) for version in late], 102.0)
    assert recorded() == etag(current)
    assert ledger.in_flight() == 0


@UNPARTITIONED
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(len(SEQUENCERS))), st.lists(st.integers(0, len(SEQUENCERS) - 1), max_size=20))
def test_a_shuffled_and_repeated_storm_ends_with_the_newest(
    client: Client, keys: Keys, order: list[int], repeated: list[int]
) -> None:
    client.flushall()
    ledger, records = Ledger(client, keys, 100), Records(client, keys)
    for version in [*order, *repeated]:
        if ledger.enter([arrival(version)], REVISION, 100.0, 160.0) == ["entered"] and version % 2:
            ledger.finish([result(version)], 101.0)
    newest = len(SEQUENCERS) - 1
    ledger.finish([result(version) for version in order], 102.0)
    (found,) = records.get([OID])
    assert found is not None
    assert found.etag == etag(newest)
    assert ledger.in_flight() == 0
