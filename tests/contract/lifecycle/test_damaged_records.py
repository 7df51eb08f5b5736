"""A record that is damaged stops nobody: it is named, counts as unknown, and its object is tagged again."""

from __future__ import annotations

import json
import os
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from tasks.message_parts import ObjectRef, Tag
from tests.contract.dispatch.dispatching_world import REVISION, World, created
from tests.contract.dispatch.dispatching_world import world as world  # noqa: PLC0414 -- a fixture
from tests.contract.stored_records import damage, rewrite
from tests.contract.sweeping import swept
from workers.cli.main import app
from workers.dispatch.same_versions import SameVersions
from workers.lifecycle.ledger import Arrival
from workers.lifecycle.progress import ProgressReader
from workers.lifecycle.record import Record
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.redis.layout import VERSION
from workers.stores.folder_versions import same_version

DAMAGED = [b'{"bucket":', b'{"state":"of a newer version"}', b'{"bucket":"\xff"}', b"[" * 100_000]


def tagged(world: World, key: str) -> ObjectRef:
    ref = world.put(key, key.encode())
    world.inbox.append([created(ref)])
    world.dispatcher().step(block_ms=10)
    world.finish(ref)
    return ref


@pytest.mark.parametrize("body", DAMAGED)
def test_it_is_named_and_tagged_again(world: World, client: Client, keys: Keys, body: bytes) -> None:
    for key in ("a.png", "b.png"):
        tagged(world, key)
    damage(client, keys, "inbox/a.png", body)
    file = world.store._roots["inbox"] / "a.png"  # type: ignore[attr-defined]  # of a folder
    coarse = file.stat().st_mtime_ns // 10**9 * 10**9  # as a copy of it may have
    os.utime(file, ns=(coarse, coarse))
    adopt = SameVersions(world.records, world.ledger, same_version).adopt
    with capture_logs() as logged:
        swept(world.store, "inbox", client, keys, adopt=adopt)
        assert [record.key for record in world.records.latest()] == ["b.png"]
        (progress, other) = ProgressReader(client, keys).look(["inbox/a.png", "inbox/b.png"])
    assert progress is not None
    assert other is not None
    assert (progress.state, other.state) == ("queued", "done")
    assert [record.key for record in world.records.page(None, 10)[0]] == ["b.png"]
    assert world.records.damaged.list() == ["inbox/a.png"]
    assert "record damaged" in [line["event"] for line in logged]
    swept(world.store, "inbox", client, keys, adopt=adopt)
    world.dispatcher().step(block_ms=10)
    assert world.queues.sent[-1] == ["a.png"]
    world.finish(world.queues.refs[-1])
    assert world.records.damaged.list() == []
    assert {record.key for record in world.records.latest()} == {"a.png", "b.png"}


def test_an_unchanged_object_is_tagged_again_and_damaged_labels_do_not_prevent_it(
    world: World, client: Client, keys: Keys
) -> None:
    ref = tagged(world, "a.png")
    rewrite(client, keys, ref.id, b"{", b"{")
    assert world.records.get([ref.id]) == [None]
    assert world.records.labelled([ref.id])[0][2] == []
    swept(world.store, "inbox", client, keys)
    world.dispatcher().step(block_ms=10)
    world.finish(ref)
    assert [record.etag for record in world.records.latest()] == [ref.etag]
    assert world.records.damaged.list() == []


@pytest.mark.parametrize("damaged", ["body", "head", "all", "removed"])
def test_nothing_is_left_of_a_damaged_record_that_is_replaced(
    world: World, client: Client, keys: Keys, damaged: str
) -> None:
    """Its labels are not in it any more, and they are found in the index."""
    ref = tagged(world, "a.png")
    first = msgspec.structs.replace(done(ref), tags=(Tag("Egyptian cats", 0.5, 0.5, 0.5), Tag("sofa", 0.4, 0.5, 0.5)))
    enter_again(world, ref)
    assert world.ledger.finish([first], 2.0) == [True]
    whole: Any = client.get(keys.record(ref.id))
    assert world.records.tag_index.best("cat", 0.0, 9)
    if damaged == "body":
        damage(client, keys, ref.id)
    elif damaged == "head":
        client.set(keys.record(ref.id), b"\x00\x10" + b"\xc1" * 16 + whole[200:])
    elif damaged == "all":
        client.set(keys.record(ref.id), b"x")
    if damaged == "removed":
        client.set(keys.record(ref.id), b"\xff")
        assert world.ledger.remove([ref.id]) == [True]
        assert set(client.scan_iter(f"{keys.prefix}tag*")) == set()
    else:
        enter_again(world, ref)
        lamp = msgspec.structs.replace(first, tags=(Tag("lamp", 0.5, 0.5, 0.5),))
        assert world.ledger.finish([lamp], 3.0) == [True]
        assert [one for one, _ in world.records.tag_index.common()] == ["lamp"]
        assert world.records.tag_index.best("cat", 0.0, 9) == []
        assert list(world.records.oids()) == [ref.id]
        world.ledger.remove([ref.id])
    assert world.records.counts()["done"] == 0
    assert not client.exists(keys.tags, keys.records, keys.objects)
    assert list(client.scan_iter(f"{keys.numbered_begin}*")) == []


def enter_again(world: World, ref: ObjectRef) -> None:
    world.ledger.enter([Arrival(ref, verified=True, force=True)], REVISION, 1.0, 60.0)


def done(ref: ObjectRef) -> Record:
    return Record(bucket=ref.bucket, key=ref.key, etag=ref.etag, state="done",
                  space_id=REVISION.space_id, captions_version=REVISION.captions_version)  # fmt: skip


def test_damaged_entries_of_the_feed_are_passed_over(world: World, client: Client, keys: Keys) -> None:
    for _ in range(3):
        client.xadd(keys.feed, {"oid": "inbox/a.png", "state": "done", "body": b"{"})
    assert world.records.feed_page("0-0", 2) == []
    assert world.records.feed("0-0", block_ms=1) == []
    ref = tagged(world, "b.png")
    assert [item.oid for item in world.records.feed_page("0-0", 2)] == [ref.id]
    assert [item.oid for item in world.records.feed("0-0", block_ms=1, count=2)] == [ref.id]


def test_status_names_them(
    world: World, client: Client, keys: Keys, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = tagged(world, "a.png")
    damage(client, keys, ref.id)
    world.records.get([ref.id])
    monkeypatch.setenv("WILDTAG_REDIS_URL", url)
    monkeypatch.setenv("WILDTAG_BROKER_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("WILDTAG_KEY_PREFIX", keys.prefix)
    client.set(keys.layout_version, VERSION)
    assert "1 damaged record, tagged again after the next comparison: inbox/a.png" in (
        CliRunner().invoke(app, ["status"]).output
    )
    said = CliRunner().invoke(app, ["status", "--json"]).stdout
    assert json.loads(said)["damaged_records"] == [ref.id]
