"""The rule of order: an older version of an object never overwrites a newer, in whatever order they are told."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.messages import ObjectRef, Revision
from tests.unit.events.samples import BUCKET, body, record
from workers.connection import Client
from workers.events.notification import webhook
from workers.layout import Keys
from workers.ledger import Arrival, Ledger
from workers.records import Record, Records

REVISION = Revision("space", "captions@1")
OID = f"{BUCKET}/walks/dog.jpg"
# lengths and cases differ on purpose
SEQUENCERS = ["0055AED6DCD90281E5", "0055AED6DD", "18A5C0FFEE123456", "18A5C0FFEE123457", "18a5c0ffee12345a", "F8"]
STEPS = st.tuples(st.sampled_from(["told", "told", "result", "removed"]), st.integers(0, len(SEQUENCERS) - 1))


def etag(version: int) -> str:
    return f"etag-{version}"


def arrival(version: int) -> Arrival:
    """As the dispatcher makes it of a webhook's body."""
    told = webhook(body(record(eTag=etag(version), sequencer=SEQUENCERS[version])), BUCKET)
    (event,) = told.events
    return Arrival(ObjectRef(event.bucket, event.key, event.etag, event.size, event.version_id), event.sequence)


def result(version: int) -> Record:
    return Record(
        bucket=BUCKET, key="walks/dog.jpg", etag=etag(version), state="done",
        space_id=REVISION.space_id, captions_version=REVISION.captions_version,
    )  # fmt: skip


class Model:
    """What must be known: the newest version that was told since the object was last removed, and the record."""

    def __init__(self) -> None:
        self.newest: int | None = None
        self.recorded: int | None = None

    def told(self, version: int) -> str:
        if self.newest is None or version > self.newest:
            self.newest = version
            return "entered"
        if version < self.newest:
            return "stale"
        return "done" if self.recorded == version else "duplicate"

    def result(self, version: int) -> bool:
        waits = version == self.newest and self.recorded != version
        if waits:
            self.recorded = version
        return waits

    def removed(self) -> None:
        self.newest = self.recorded = None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=30))
def test_an_older_version_never_overwrites_a_newer(
    client: Client, keys: Keys, happens: list[tuple[str, int]]
) -> None:
    client.flushall()
    ledger, records, model = Ledger(client, keys, 100), Records(client, keys), Model()
    for what, version in happens:
        if what == "told":
            assert ledger.enter([arrival(version)], REVISION, 100.0, 160.0) == [model.told(version)]
        elif what == "result":
            assert ledger.finish([result(version)], 101.0) == [model.result(version)]
        else:
            ledger.remove([OID])
            model.removed()
        (found,) = records.get([OID])
        assert (found.etag if found else None) == (None if model.recorded is None else etag(model.recorded))
    if model.newest is not None and model.recorded != model.newest:
        assert ledger.finish([result(model.newest)], 102.0) == [True]
    assert ledger.in_flight() == 0


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
