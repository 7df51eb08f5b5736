"""The comparison of a bucket with partitioned records: it finds what is new, gone and held, as with one partition."""

from __future__ import annotations

import time
from pathlib import Path

from tasks.message_parts import ObjectRef, Revision
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.ledger import Arrival
from workers.lifecycle.record import Record
from workers.redis.connection import connect
from workers.settings.settings import Settings
from workers.wiring.dispatch import sweeper
from workers.wiring.wiring import Wiring

REVISION = Revision("space", "captions@1")
NAMES = [f"{number:03}.png" for number in range(60)]


def swept(wiring: Wiring) -> list[ObjectEvent]:
    """Compare once; the events that were added."""
    compared = sweeper(wiring)
    while not compared.step(5.0):
        pass
    wiring.inbox.prepare()
    read = wiring.inbox.read("test", 1000, None)
    wiring.inbox.done([entry for entry, _ in read])
    return [event for _, event in read]


def tagged(wiring: Wiring, names: list[str]) -> None:
    refs = [wiring.store.stat("inbox", name) for name in names]
    arrivals = [Arrival(info.ref, verified=True) for info in refs if info is not None]
    now = time.time()
    assert set(wiring.ledger.enter(arrivals, REVISION, now, now + 60)) == {"entered"}
    assert all(wiring.ledger.finish([record(arrival.ref) for arrival in arrivals], now))


def record(ref: ObjectRef) -> Record:
    return Record(
        bucket=ref.bucket, key=ref.key, etag=ref.etag, state="done", space_id="space", captions_version="captions@1"
    )


def test_what_is_new_gone_and_held_is_found_in_all_partitions(redis_url: str, tmp_path: Path) -> None:
    connect(redis_url).flushall()
    folder = tmp_path / "inbox"
    folder.mkdir()
    wiring = Wiring(Settings(home=tmp_path, redis_url=redis_url, key_prefix="{sweep}:", partitions=3))
    wiring.layout.require()
    for name in NAMES:
        (folder / name).write_bytes(b"x")
    assert sorted(event.key for event in swept(wiring)) == NAMES
    tagged(wiring, NAMES)
    assert list(wiring.records.keys("inbox")) == NAMES
    assert swept(wiring) == []

    for name in NAMES[:2]:
        (folder / name).unlink()
    (folder / "new.png").write_bytes(b"y")
    found = {(event.kind, event.key) for event in swept(wiring)}
    assert found == {("removed", NAMES[0]), ("removed", NAMES[1]), ("created", "new.png")}
    assert wiring.ledger.remove([f"inbox/{name}" for name in NAMES[:2]]) == [True, True]

    for name in NAMES[2:]:
        (folder / name).rename(tmp_path / name)
    assert {event.key for event in swept(wiring)} <= {"new.png"}  # too many are missing: they are held
    assert wiring.holds.of("inbox") is not None
    oids = [f"inbox/{name}" for name in NAMES[2:]]
    wiring.interrupted.put("inbox", oids, oids)
    for name in NAMES[2:]:
        (tmp_path / name).rename(folder / name)
    again = [event.key for event in swept(wiring) if event.force]
    assert sorted(again) == NAMES[2:]
    assert wiring.holds.of("inbox") is None
    assert list(wiring.interrupted.pages("inbox")) == []
