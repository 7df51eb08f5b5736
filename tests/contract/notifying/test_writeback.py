"""Tags written back: within S3's rules, with other people's tags kept, and never twice where once is enough."""

from __future__ import annotations

import io
import json
import string
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tasks.message_parts import ObjectRef, Revision
from tests.contract.notifying.writeback_world import World, tag
from tests.contract.notifying.writeback_world import tagging as tagging  # noqa: PLC0414 -- a fixture
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import Records
from workers.notifying.writeback import Writer, with_ours
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.stores.s3 import S3Store

ALLOWED = set(string.ascii_letters + string.digits + "+-._:/@ =")


def test_ours_are_replaced_and_others_stay() -> None:
    theirs = {"team": "a", "wildtag.1": "dog", "wildtag.5": "old"}
    assert with_ours(theirs, [tag("cat"), tag("crème brûlée!")]) == {
        "team": "a", "wildtag.1": "cat", "wildtag.2": "cr me br l e",
    }  # fmt: skip


@given(
    st.dictionaries(st.text(string.ascii_letters, min_size=1, max_size=9), st.text(max_size=5), max_size=10),
    st.lists(st.text(max_size=400), max_size=14),
)
def test_whatever_the_labels_are_the_rules_are_kept(theirs: dict[str, str], labels: list[str]) -> None:
    tags = with_ours(theirs, [tag(label) for label in labels])
    assert len(tags) <= 10
    assert {key: tags[key] for key in theirs} == theirs
    for key in tags.keys() - theirs.keys():
        assert 0 < len(tags[key]) <= 256
        assert set(tags[key]) <= ALLOWED


def test_tags_are_set_once(tagging: World) -> None:
    tagging.store.kept["a.jpg"] = {"team": "a"}
    tagging.finish("a.jpg", "cat", "tabby cat")
    assert tagging.writer.step(10) == 1
    assert tagging.store.kept["a.jpg"] == {"team": "a", "wildtag.1": "cat", "wildtag.2": "tabby cat"}
    tagging.finish("a.jpg", "cat", "tabby cat")
    tagging.writer.step(10)
    assert tagging.store.sets == 1
    assert tagging.writer.step(10) == 0


def test_the_tags_of_another_version_are_not_written(tagging: World) -> None:
    tagging.finish("a.jpg", "cat", etag="older")
    tagging.writer.step(10)
    assert tagging.store.sets == 0


def test_a_store_that_is_away_loses_nothing_nor_does_a_writer_that_dies(tagging: World) -> None:
    for key in ("a.jpg", "b.jpg"):
        tagging.finish(key, "cat")
    tagging.store.away = True
    assert tagging.writer.step(10) == 0
    tagging.store.away = False
    successor = tagging.another()  # the first one read both and wrote neither
    assert successor.step(10) == 0
    assert successor.recover(idle_ms=0) == 2
    assert set(tagging.store.kept) == {"a.jpg", "b.jpg"}


def test_a_file_beside_each_image_that_goes_with_it(client: Client, keys: Keys, tmp_path: Path) -> None:
    world = World(client, keys, tmp_path, "sidecar")
    world.finish("in/a.jpg", "cat")
    world.writer.step(10)
    file = tmp_path / ".wildtag" / "in" / "a.jpg.json"
    assert json.loads(file.read_text())["tags"][0]["label"] == "cat"
    assert [info.ref.key for info in world.store.list("photos")] == ["in/a.jpg"]
    world.ledger.remove(["photos/in/a.jpg"])
    world.writer.step(10)
    assert not file.exists()


def test_what_the_feed_tells_late_brings_nothing_back(client: Client, keys: Keys, tmp_path: Path) -> None:
    world = World(client, keys, tmp_path, "sidecar")
    world.finish("a.jpg", "cat")
    world.ledger.remove(["photos/a.jpg"])
    world.another().step(10)
    assert not list((tmp_path / ".wildtag").rglob("*.json"))


def test_an_image_that_is_gone_is_passed_over(tagging: World) -> None:
    tagging.finish("a.jpg", "cat")
    tagging.store.remove("photos", "a.jpg")
    assert tagging.writer.step(10) == 1
    assert tagging.writer.step(10) == 0


def test_sidecars_on_an_s3_server(client: Client, keys: Keys, s3: S3Store, bucket: str) -> None:
    """They lie beside the images under the output prefix, change with the record and go with it."""
    ledger, records = Ledger(client, keys, 100), Records(client, keys)
    writer = Writer(s3, records, client, keys, bucket, "sidecar", ".wildtag/", "me")
    writer.prepare()

    def finish(key: str, label: str) -> ObjectRef:
        ref = s3.put(bucket, key, io.BytesIO(label.encode())).ref
        ledger.enter([Arrival(ref, force=True)], Revision("s", "c@1"), 1.0, 9.0)
        record = Record(bucket=bucket, key=key, etag=ref.etag, state="done", tags=(tag(label),),
                        space_id="s", captions_version="c@1")  # fmt: skip
        assert ledger.finish([record], 2.0) == [True]
        return ref

    key, beside = "in +ü/a.jpg", ".wildtag/in +ü/a.jpg.json"
    for label in ("cat", "dog"):
        ref = finish(key, label)
        assert writer.step(10) == 1
        data, info = s3.get(bucket, beside, 2**16)
        sidecar = json.loads(data)
        assert (sidecar["key"], sidecar["etag"], sidecar["tags"][0]["label"]) == (key, ref.etag, label)
        assert info.content_type == "application/json"
    assert [info.ref.key for info in s3.list(bucket, ".wildtag/")] == [beside]
    ledger.remove([f"{bucket}/{key}"])
    assert writer.step(10) == 1
    assert list(s3.list(bucket, ".wildtag/")) == []


def test_tags_on_an_s3_server(client: Client, keys: Keys, s3: S3Store, bucket: str) -> None:
    ledger = Ledger(client, keys, 100)
    writer = Writer(s3, Records(client, keys), client, keys, bucket, "tags", ".wildtag/", "me")
    writer.prepare()
    ref = s3.put(bucket, "a.jpg", io.BytesIO(b"x")).ref
    s3.set_tags(bucket, "a.jpg", {"team": "a"})
    ledger.enter([Arrival(ref)], Revision("s", "c@1"), 1.0, 9.0)
    record = Record(bucket=bucket, key="a.jpg", etag=ref.etag, state="done", tags=(tag("tabby cat"),),
                    space_id="s", captions_version="c@1")  # fmt: skip
    ledger.finish([record], 2.0)
    assert writer.step(10) == 1
    assert s3.tags(bucket, "a.jpg") == {"team": "a", "wildtag.1": "tabby cat"}
