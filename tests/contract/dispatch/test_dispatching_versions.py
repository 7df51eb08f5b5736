"""The dispatcher among versions: of captions, of encoders and of objects."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Literal

from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig

from tasks.message_parts import ObjectRef, Revision
from tests.contract.dispatch.dispatching_world import REVISION, World, created
from tests.contract.dispatch.dispatching_world import world as world  # noqa: PLC0414 -- a fixture
from tests.contract.sweeping import swept
from workers.lifecycle.event import ObjectEvent
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.stores.s3 import S3Store


def test_a_switch_of_captions_reaches_what_comes_and_not_what_is_on_its_way(world: World) -> None:
    dispatcher, keeper = world.dispatcher(), world.keeper()
    before, after = world.put("before.jpg"), world.put("after.jpg")
    world.inbox.append([created(before)])
    dispatcher.step(block_ms=10)
    world.revision = Revision("space", "captions@2")
    world.inbox.append([created(before), created(after)])
    dispatcher.step(block_ms=10)
    assert world.queues.sent == [["before.jpg"], ["after.jpg"]]
    assert world.queues.revisions == [REVISION, world.revision]
    world.health.beat("embedding")
    world.now += 61
    world.health.beat("embedding")
    keeper.step()  # each is sent again with the captions it began with
    assert dict(zip(map(str, world.queues.sent[2:]), world.queues.revisions[2:], strict=True)) == {
        "['before.jpg']": REVISION, "['after.jpg']": world.revision,
    }  # fmt: skip


def test_another_encoder_begins_anew_what_is_on_its_way(world: World) -> None:
    dispatcher, keeper = world.dispatcher(), world.keeper()
    world.inbox.append([created(world.put("a.jpg"))])
    dispatcher.step(block_ms=10)
    world.revision = Revision("another", "captions@1")
    world.now += 61
    world.health.beat("embedding")
    keeper.step()
    dispatcher.step(block_ms=10)
    assert world.queues.revisions == [REVISION, world.revision]


def test_of_the_versions_of_an_object_the_current_one_counts_whatever_is_told_when(
    world: World, s3: S3Store, bucket: str
) -> None:
    client = s3.connection.client
    client.set_bucket_versioning(bucket, VersioningConfig(ENABLED))
    world = replace(world, store=s3)
    dispatcher = world.dispatcher(batch_max=1)
    oldest, older, newest = (s3.put(bucket, "a.jpg", io.BytesIO(data)).ref for data in (b"1", b"22", b"333"))

    def dispatched(kind: Literal["created", "removed"], ref: ObjectRef, sequence: int) -> list[str]:
        """The etags of what is sent for it."""
        event = ObjectEvent(
            kind, bucket, ref.key, ref.etag if kind == "created" else "", version_id=ref.version_id,
            sequence=f"{sequence:032x}",
        )  # fmt: skip
        world.inbox.append([event])
        before = len(world.queues.refs)
        dispatcher.step(block_ms=10)
        return [sent.etag for sent in world.queues.refs[before:]]

    def recorded() -> list[str]:
        return [record.etag for record in world.records.latest()]

    assert dispatched("created", newest, 3) == [newest.etag]
    assert dispatched("created", older, 2) == []  # while the newer is on its way …
    world.finish(newest)
    assert dispatched("created", oldest, 1) == []  # … and when it is tagged
    assert recorded() == [newest.etag]

    s3.remove(bucket, "a.jpg")
    assert dispatched("removed", newest, 4) == []
    assert recorded() == []
    (marker,) = (f for f in client.list_objects(bucket, include_version=True) if f.is_delete_marker)
    client.remove_object(bucket, "a.jpg", marker.version_id)
    assert dispatched("removed", newest, 5) == [newest.etag]  # it is back
    world.finish(newest)

    client.remove_object(bucket, "a.jpg", oldest.version_id)
    assert dispatched("removed", oldest, 6) == []
    assert recorded() == [newest.etag]
    client.remove_object(bucket, "a.jpg", newest.version_id)
    assert dispatched("removed", newest, 7) == [older.etag]  # the next older is the current one
    world.finish(older)
    assert recorded() == [older.etag]
    client.remove_object(bucket, "a.jpg", older.version_id)
    assert dispatched("removed", older, 8) == []
    assert (recorded(), world.ledger.in_flight()) == ([], 0)


def test_the_sweep_finds_what_events_missed(world: World, client: Client, keys: Keys) -> None:
    kept, changed, gone = world.put("kept.jpg"), world.put("changed.jpg"), world.put("gone.jpg")
    world.inbox.append([created(ref) for ref in (kept, changed, gone)])
    world.dispatcher().step(block_ms=10)
    for ref in (kept, changed, gone):
        world.finish(ref)
    world.put("changed.jpg", b"other bytes")
    world.store.remove("inbox", "gone.jpg")
    world.put("new.jpg")
    world.queues.sent.clear()

    found = swept(world.store, "inbox", client, keys)
    assert (found.seen, found.sent, found.gone) == (3, 2, 1)
    world.dispatcher(batch_max=5).step(block_ms=10)
    assert [sorted(batch) for batch in world.queues.sent] == [["changed.jpg", "new.jpg"]]
    assert {record.key for record in world.records.latest()} == {"changed.jpg", "kept.jpg"}
