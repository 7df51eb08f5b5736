"""Tags written back: within S3's rules, with other people's tags kept, and never twice where once is enough."""

from __future__ import annotations

import io
import json
import string
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.messages import ObjectRef, Revision, Tag
from workers.events.sink import EventSink
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import Records
from workers.notifying.writeback import GAPS, PAGE, WriteBackMode, Writer, with_ours
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.stores.folder import FolderStore
from workers.stores.s3 import S3Store
from workers.stores.store import StoreAway

ALLOWED = set(string.ascii_letters + string.digits + "+-._:/@ =")


class Tagged(FolderStore):
    """A folder whose objects have tags; can be made unavailable."""

    def __init__(self, root: Path) -> None:
        super().__init__({"photos": root})
        self.kept: dict[str, dict[str, str]] = {}
        self.sets = 0
        self.away = False

    def tags(self, bucket: str, key: str) -> Mapping[str, str]:  # noqa: ARG002 -- the Protocol's
        if self.away:
            raise StoreAway("away")
        return self.kept.get(key, {})

    def set_tags(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:  # noqa: ARG002 -- as above
        self.sets += 1
        self.kept[key] = dict(tags)


def tag(label: str) -> Tag:
    return Tag(label, 0.5, 0.5, 0.5)


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


class World:
    """A store, records that are written to it, and a writer."""

    def __init__(self, client: Client, keys: Keys, root: Path, mode: WriteBackMode) -> None:
        self.store = Tagged(root)
        self.ledger = Ledger(client, keys, 100)
        self.event_sink = EventSink(client, keys)
        self._made: Callable[[str], Writer] = lambda name: Writer(
            self.store, Records(client, keys), client, keys, "photos", mode, ".wildtag/", name
        )
        self.writer = self._made("me")
        self.writer.prepare()

    def another(self) -> Writer:
        return self._made("another")

    def finish(self, key: str, *labels: str, etag: str | None = None) -> ObjectRef:
        ref = self.store.put("photos", key, io.BytesIO(key.encode())).ref
        ref = ObjectRef(ref.bucket, ref.key, etag or ref.etag)
        self.ledger.enter([Arrival(ref, force=True)], Revision("s", "c@1"), 1.0, 9.0)
        record = Record(bucket="photos", key=key, etag=ref.etag, state="done", tags=tuple(map(tag, labels)),
                        space_id="s", captions_version="c@1")  # fmt: skip
        assert self.ledger.finish([record], 2.0) == [True]
        return ref


@pytest.fixture
def tagging(client: Client, keys: Keys, tmp_path: Path) -> World:
    return World(client, keys, tmp_path, "tags")


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


# -- what the feed has forgotten


def cut(client: Client, keys: Keys, left: int) -> None:
    """Cut the feed as finishing many objects does, exactly."""
    client.xtrim(keys.feed, maxlen=left, approximate=False)


@pytest.fixture
def exact(client: Client) -> None:
    """A Redis that says whether it has cut a stream; with an older one a first writer takes it for granted."""
    version = str(client.info("server")["redis_version"])
    if int(version.partition(".")[0]) < 7:
        pytest.skip(f"this is Redis {version}")


def gaps(world: World) -> int:
    return world.event_sink.counts().get(GAPS, 0)


@pytest.mark.usefixtures("exact")
def test_a_writer_that_was_away_for_longer_than_the_feed_remembers_writes_all(
    tagging: World, client: Client, keys: Keys
) -> None:
    names = [f"{number:03}.jpg" for number in range(2 * PAGE + 5)]
    tagging.finish(names[0], "cat")
    tagging.writer.step(10)
    for name in names[1:]:
        tagging.finish(name, "cat")
    cut(client, keys, 3)
    assert tagging.writer.step(10) == 3
    assert gaps(tagging) == 1
    tagging.writer.step(10)
    tagging.another().step(10)  # one that takes its place goes on with it
    assert set(tagging.store.kept) < set(names)
    tagging.another().step(10)
    assert set(tagging.store.kept) == set(names)
    assert tagging.store.sets == len(names), "what has its tags already is left alone"
    assert not client.exists(keys.catching_up)
    tagging.writer.step(10)
    assert gaps(tagging) == 1, "the gap is over"


@pytest.mark.usefixtures("exact")
def test_a_feed_that_forgot_only_what_was_written_has_no_gap(tagging: World, client: Client, keys: Keys) -> None:
    for name in "abcd":
        tagging.finish(name, "cat")
    tagging.writer.step(10)
    tagging.finish("e", "cat")
    cut(client, keys, 2)
    assert tagging.writer.step(10) == 1
    assert gaps(tagging) == 0


def test_a_first_writer_finds_what_was_tagged_before_it(client: Client, keys: Keys, tmp_path: Path) -> None:
    world = World(client, keys, tmp_path, "sidecar")
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        world.finish(name, "cat")
    cut(client, keys, 1)
    for _ in range(2):
        world.writer.step(10)
    assert gaps(world) == 1
    assert {file.name for file in (tmp_path / ".wildtag").iterdir()} == {"a.jpg.json", "b.jpg.json", "c.jpg.json"}


@pytest.mark.usefixtures("exact")
def test_what_was_read_and_forgotten_before_it_was_written_is_written(
    tagging: World, client: Client, keys: Keys
) -> None:
    for name in "abc":
        tagging.finish(name, "cat")
    tagging.store.away = True
    tagging.writer.step(10)
    cut(client, keys, 1)
    tagging.store.away = False
    assert tagging.writer.recover(idle_ms=0) == 1
    assert gaps(tagging) == 1
    tagging.writer.step(10)
    assert set(tagging.store.kept) == set("abc")


def test_a_walk_waits_for_the_store_and_goes_on_where_it_was(tagging: World, client: Client, keys: Keys) -> None:
    for name in "abcd":
        tagging.finish(name, "cat")
    cut(client, keys, 1)
    tagging.writer.step(10)
    tagging.store.away = True
    tagging.writer.step(10)
    assert client.exists(keys.catching_up)
    tagging.store.away = False
    tagging.writer.step(10)
    assert set(tagging.store.kept) == set("abcd")


def test_another_gap_during_a_walk_leads_to_another_walk_and_not_to_an_endless_one(
    tagging: World, client: Client, keys: Keys
) -> None:
    for number in range(3 * PAGE + 2):
        tagging.finish(f"k{number:03}", "cat")
    cut(client, keys, 1)
    tagging.writer.step(10)
    tagging.writer.step(10)  # the first page
    for _ in range(2):
        for name in ("a", "b"):  # before the place where the walk is
            tagging.finish(name, "dog")
        cut(client, keys, 1)
        tagging.writer.step(10)
    assert gaps(tagging) == 2
    for _ in range(6):
        tagging.writer.step(10)
    assert len(tagging.store.kept) == 3 * PAGE + 4
    assert not client.exists(keys.catching_up)


# -- on an S3 server


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
