"""Keys whose encoding is not certain: the certain reading first, another one if nothing has the first."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from msgspec.structs import replace

from tests.contract.dispatch.dispatching_world import World, created
from tests.contract.dispatch.dispatching_world import world as world  # noqa: PLC0414 -- a fixture
from tests.unit.events.samples import access, record
from vectordb.errors import Transient
from workers.events.notification import access_entry
from workers.lifecycle.event import ObjectEvent
from workers.stores.folder import FolderStore
from workers.stores.store import ObjectInfo, StoreAway

PAIRS = [("a b.jpg", "a+b.jpg"), ("A.jpg", "%41.jpg"), ("a/b.jpg", "a%2Fb.jpg"), ("é.jpg", "%C3%A9.jpg")]


def told(raw: str, name: str = "s3:ObjectCreated:Put", **fields: Any) -> list[ObjectEvent]:
    """The events of a server that writes a key as it is, where form-encoding is usual."""
    one = record(name, bucket="inbox", **fields)
    one["s3"]["object"]["key"] = raw
    return list(access_entry(access(one), "inbox").events)


def sent(world: World) -> list[str]:
    world.dispatcher(batch_max=10).step(block_ms=10)
    return sorted(key for batch in world.queues.sent for key in batch)


@pytest.mark.parametrize(("decoded", "raw"), PAIRS)
def test_a_raw_key_is_found(world: World, decoded: str, raw: str) -> None:
    assert [told(raw)[0].key, *told(raw)[0].other_keys] == [decoded, raw]
    world.put(raw)
    world.inbox.append(told(raw))
    assert sent(world) == [raw]


@pytest.mark.parametrize(("decoded", "raw"), PAIRS)
def test_without_an_etag_both_are_meant_where_both_exist(world: World, decoded: str, raw: str) -> None:
    """One of them is the object that came; what is known already is not tagged again."""
    known = world.put(decoded)
    world.inbox.append([created(known)])
    assert sent(world) == [decoded]
    world.finish(known)
    world.queues.sent.clear()
    world.put(raw)
    world.inbox.append(told(raw, eTag=""))
    assert sent(world) == [raw]
    world.inbox.append(told(raw, eTag=""))
    assert sent(world) == [raw]  # nothing more


@pytest.mark.parametrize(("decoded", "raw"), PAIRS)
def test_an_order_to_tag_again_concerns_one_object(world: World, decoded: str, raw: str) -> None:
    world.put(decoded)
    world.put(raw)
    world.inbox.append([replace(one, etag="", force=True) for one in told(raw)])
    assert sent(world) == [decoded]


@pytest.mark.parametrize(("decoded", "raw"), PAIRS)
def test_the_etag_of_the_event_tells_which_of_both_is_meant(world: World, decoded: str, raw: str) -> None:
    world.put(decoded, b"one")
    etag = world.put(raw, b"other, and longer").etag
    world.inbox.append(told(raw, eTag=etag))
    assert sent(world) == [raw]


def test_nothing_has_any_of_the_keys(world: World) -> None:
    world.put("another.jpg")
    world.inbox.append(told("a+b.jpg"))
    assert sent(world) == []
    assert world.inbox.length() == 0


@pytest.mark.parametrize(("decoded", "raw"), PAIRS)
@pytest.mark.parametrize("gone", ["decoded", "raw"])
def test_a_removal_is_that_of_the_object_that_is_gone(world: World, decoded: str, raw: str, gone: str) -> None:
    refs = {name: world.put(key, name.encode()) for name, key in {"decoded": decoded, "raw": raw}.items()}
    world.inbox.append([created(ref) for ref in refs.values()])
    assert len(sent(world)) == 2
    for ref in refs.values():
        world.finish(ref)
    world.store.remove("inbox", refs[gone].key)
    world.inbox.append(told(raw, "s3:ObjectRemoved:Delete"))
    world.dispatcher().step(block_ms=10)
    (kept,) = (ref for name, ref in refs.items() if name != gone)
    assert [record is not None for record in world.records.get([refs[gone].id, kept.id])] == [False, True]


def test_while_the_store_is_away_the_event_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put("a+b.jpg")
    stat, away = FolderStore.stat, [True]

    def sometimes(self: FolderStore, bucket: str, key: str) -> ObjectInfo | None:
        if away[0]:
            raise StoreAway("away")
        return stat(self, bucket, key)

    monkeypatch.setattr(FolderStore, "stat", sometimes)
    world.inbox.append(told("a+b.jpg"))
    dispatcher = world.dispatcher()
    with contextlib.suppress(Transient):
        dispatcher.step(block_ms=10)
    assert world.queues.sent == []
    assert world.inbox.length() == 1
    away[0] = False
    world.dispatcher().recover(idle_ms=0)
    assert world.queues.sent == [["a+b.jpg"]]
