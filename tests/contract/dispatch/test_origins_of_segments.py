"""Objects that wait for their segmentation keep the id of their request and their trace."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tasks.message_parts import ObjectRef, Origin
from tests.contract.dispatch.dispatching_world import REVISION, World, created
from tests.contract.dispatch.dispatching_world import world as world  # noqa: PLC0414 -- a fixture
from workers.lifecycle.ledger import Arrival
from workers.lifecycle.partitioned_ledger import PartitionedLedger
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.redis.partition_faults import PartitionFaults
from workers.redis.partitions import Partitions
from workers.segmentation.partitioned_queue import PartitionedSegmentQueue
from workers.segmentation.queue import SegmentQueue

ORIGIN = Origin("a-request", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")


def queued(world: World, client: Client, keys: Keys, origin: Origin | None = ORIGIN) -> ObjectRef:
    """An object whose segmentation was requested, on the queue. Both places are taken."""
    world.ledger.enter(
        [Arrival(ObjectRef("inbox", f"{n}.jpg", f"e{n}"), from_queue=True, rule="dense") for n in range(2)],
        REVISION, world.now, world.now + 60,
    )  # fmt: skip
    client.set(keys.segmentation_request("inbox/a.jpg"), "dense")
    ref = world.put("a.jpg")
    world.inbox.append([replace(created(ref), origin=origin)])
    dispatcher = world.dispatcher()
    dispatcher.step()
    assert not world.queues.refs
    assert client.zcard(keys.segmentation_queue) == 1
    return ref


def free(world: World) -> None:
    """Give the places back, and let the dispatcher work."""
    world.ledger.remove([f"inbox/{n}.jpg" for n in range(2)])
    world.dispatcher().step(1)


def test_an_object_keeps_its_origin_while_it_waits(world: World, client: Client, keys: Keys) -> None:
    ref = queued(world, client, keys)
    world.inbox.append([created(ref)])  # the bucket reports the upload, too, and knows of no request
    world.dispatcher().step()
    free(world)
    assert [one.origin for one in world.queues.refs] == [ORIGIN]
    assert not client.exists(keys.segmentation_queue, keys.segmentation_queue_origins)


@pytest.mark.parametrize("reported", [True, False])
def test_another_version_is_of_no_request(world: World, client: Client, keys: Keys, reported: bool) -> None:
    queued(world, client, keys)
    other = world.put("a.jpg", b"another one")
    if reported:
        world.inbox.append([created(other)])
        world.dispatcher().step()
        assert not client.exists(keys.segmentation_queue_origins)
    free(world)
    assert [(one.etag, one.origin) for one in world.queues.refs] == [(other.etag, None)]


def test_nothing_is_left_of_an_object_that_is_removed(world: World, client: Client, keys: Keys) -> None:
    queued(world, client, keys)
    assert client.exists(keys.segmentation_queue_origins)
    world.ledger.remove(["inbox/a.jpg"])
    assert not client.exists(keys.segmentation_queue, keys.segmentation_queue_origins)
    queued(world, client, keys, origin=None)
    assert not client.exists(keys.segmentation_queue_origins)


def test_the_queues_of_partitions_keep_them_too(client: Client) -> None:
    partitions = Partitions(Keys("{test}:"), 4)
    faults = PartitionFaults(4)
    ledger = PartitionedLedger(partitions, client, [client] * 4, 100, faults)
    queues = [SegmentQueue(client, keys, ledger, 8, lambda: 1000.0) for keys in partitions.all]
    segments = PartitionedSegmentQueue(queues, partitions, faults, ledger, 8, lambda: 1000.0)
    refs = [ObjectRef("b", f"{n}.jpg", "etag", origin=Origin(f"request-{n}")) for n in range(12)]
    answers = ledger.enter([Arrival(ref, rule="dense") for ref in refs], REVISION, 1.0, 60.0)
    assert set(answers) == {"waiting"}
    found = segments.with_origins([Arrival(replace(ref, origin=None), from_queue=True) for ref in refs])
    assert [one.ref for one in found] == refs
    segments.drop([ref.id for ref in refs])
    assert not any(client.exists(keys.segmentation_queue_origins) for keys in partitions.all)
