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
from workers.connection import Client
from workers.layout import Keys
from workers.ledger import Arrival, Ledger
from workers.records import Record, Records
from workers.stores.folder import FolderStore
from workers.stores.store import StoreAway
from workers.writeback import Way, Writer, with_ours

ALLOWED = set(string.ascii_letters + string.digits + "+-._:/@ =")


class Tagged(FolderStore):
    """A folder whose objects carry tags; away when told so."""

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

    def __init__(self, client: Client, keys: Keys, root: Path, way: Way) -> None:
        self.store = Tagged(root)
        self.ledger = Ledger(client, keys, 100)
        self.root = root
        self._made: Callable[[str], Writer] = lambda name: Writer(
            self.store, Records(client, keys), client, keys, way, ".wildtag/", name
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
