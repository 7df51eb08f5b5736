"""Files that were copied or restored, and records of an older wildtag: they get the new ETag, and nobody is told."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from tasks.message_parts import ObjectRef, Revision, Tag
from tests.contract.sweeping import swept
from workers.dispatch.same_versions import SameVersions
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import Records
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.stores.folder import FolderStore
from workers.stores.folder_versions import same_version

REVISION = Revision("space", "captions@1")
TAGGED_AT = 1_800_000_000.0


@dataclass
class World:
    """A folder with records of its files."""

    root: Path
    client: Client
    keys: Keys
    inbox: Inbox
    ledger: Ledger
    records: Records

    @property
    def store(self) -> FolderStore:
        return FolderStore({"inbox": self.root})

    def tag(self, *refs: ObjectRef) -> None:
        self.ledger.enter([Arrival(ref, verified=True) for ref in refs], REVISION, 1.0, 9.0)
        self.ledger.finish([
            Record(bucket=ref.bucket, key=ref.key, etag=ref.etag, state="done", tags=(Tag("cat", 0.5, 0.5, 0.5),),
                   space_id=REVISION.space_id, captions_version=REVISION.captions_version, finished_at=TAGGED_AT,
                   timings_ms={"total": 200.0})
            for ref in refs
        ], 2.0)  # fmt: skip

    def files(self) -> list[ObjectRef]:
        return [info.ref for info in self.store.list("inbox")]

    def sweep(self) -> list[tuple[str, str]]:
        adopt = SameVersions(self.records, self.ledger, same_version).adopt
        swept(self.store, "inbox", self.client, self.keys, adopt=adopt)
        read = self.inbox.read("me", 1000, None)
        self.inbox.done([entry for entry, _ in read])
        return [(event.kind, event.key) for _, event in read]

    def state(self) -> tuple[dict[str, Record], str]:
        return {record.key: record for record in self.records.latest()}, self.records.feed_end()


@pytest.fixture
def world(client: Client, keys: Keys, tmp_path: Path) -> World:
    inbox = Inbox(client, keys.inbox)
    inbox.prepare()
    root = tmp_path / "inbox"
    (root / "album").mkdir(parents=True)
    for number, ns in enumerate((1_700_000_000_123_456_789, -300_000_000_987_654_321, 4_102_444_800_000_000_001)):
        for name in ("a.jpg", "album/b é.jpg"):
            file = root / f"{number}-{name}" if "/" not in name else root / "album" / f"{number}-b é.jpg"
            file.write_bytes(b"x" * (number + 1))
            os.utime(file, ns=(ns, ns))
    return World(root, client, keys, inbox, Ledger(client, keys, 100), Records(client, keys))


def test_files_dated_before_1970_and_in_the_future_are_found(world: World) -> None:
    assert len(world.sweep()) == 6


def test_a_copy_that_keeps_times_changes_nothing(world: World, tmp_path: Path) -> None:
    world.tag(*world.files())
    before = world.state()
    subprocess.run(["cp", "-a", world.root, tmp_path / "copy"], check=True)
    shutil.rmtree(world.root)
    (tmp_path / "copy").rename(world.root)
    assert world.sweep() == []
    assert world.state() == before


@pytest.mark.parametrize("resolution", [2_000_000_000, 1_000_000_000, 100])
def test_a_copy_on_a_coarser_file_system_changes_only_the_etags(world: World, resolution: int) -> None:
    world.tag(*world.files())
    records, feed = world.state()
    for file in world.root.rglob("*.jpg"):
        ns = file.stat().st_mtime_ns // resolution * resolution
        os.utime(file, ns=(ns, ns))
    assert world.sweep() == []
    etags = {ref.key: ref.etag for ref in world.files()}
    expected = {key: msgspec.structs.replace(record, etag=etags[key]) for key, record in records.items()}
    assert world.state() == (expected, feed)
    assert all(old != etags[key] for key, old in ((key, record.etag) for key, record in records.items()))
    assert world.sweep() == []


def test_a_photograph_of_the_same_size_that_is_moved_over_another_one_is_tagged(world: World) -> None:
    photograph = world.root / "0-a.jpg"
    os.utime(photograph, (1_700_000_000, 1_700_000_000))
    world.tag(*world.files())
    following = world.root / "following"
    following.write_bytes(b"y")
    os.utime(following, (1_700_000_001, 1_700_000_001))
    following.rename(photograph)
    assert world.sweep() == [("created", "0-a.jpg")]


def test_etags_with_an_inode_are_rewritten_and_nobody_is_told(world: World) -> None:
    """As version 0.1.0 wrote them: ``time-size-inode``. Only what has changed since is queued."""
    old = [
        msgspec.structs.replace(ref, etag=f"{ref.etag}-{number + 77:x}") for number, ref in enumerate(world.files())
    ]
    world.tag(*old)
    records, feed = world.state()
    changed = world.root / "album" / "0-b é.jpg"
    changed.write_bytes(b"y")
    assert world.sweep() == [("created", "album/0-b é.jpg")]
    etags = {ref.key: ref.etag for ref in world.files()}
    after, feed_after = world.state()
    assert feed_after == feed
    for key, record in after.items():
        same = key != "album/0-b é.jpg"
        assert record == (msgspec.structs.replace(records[key], etag=etags[key]) if same else records[key])


def test_a_record_that_changes_meanwhile_is_left_alone(world: World) -> None:
    (ref, *_) = world.files()
    old = msgspec.structs.replace(ref, etag=f"{ref.etag}-77")
    world.tag(old)
    (stale,) = world.records.stored([old.id])
    assert stale is not None
    world.ledger.enter([Arrival(old, verified=True, force=True)], REVISION, 1.0, 9.0)
    newer = Record(bucket="inbox", key=old.key, etag=old.etag, state="failed", space_id="space",
                   captions_version="captions@1", finished_at=TAGGED_AT + 1)  # fmt: skip
    world.ledger.finish([newer], 3.0)
    assert world.ledger.adopt([(ref, stale)]) == [False]
    assert world.records.get([old.id]) == [newer]


def test_events_of_the_same_version_are_no_news_either(world: World) -> None:
    """What the watch tells after a copy over the files, before a sweep: the ledger has nothing to do."""
    world.tag(*(msgspec.structs.replace(ref, etag=f"{ref.etag}-77") for ref in world.files()))
    refs = world.files()
    adopted = SameVersions(world.records, world.ledger, same_version).adopt(refs)
    assert adopted == {ref.id for ref in refs}
    outcomes = world.ledger.enter([Arrival(ref, verified=True) for ref in refs], REVISION, 5.0, 9.0)
    assert outcomes == ["done"] * len(refs)
    assert ObjectEvent.seen(next(iter(world.store.list("inbox")))).verified
