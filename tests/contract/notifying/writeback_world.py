"""Stores with tags and a writer, for the tests of writing tags back."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tasks.message_parts import ObjectRef, Revision, Tag
from workers.events.sink import EventSink
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import Records
from workers.notifying.writeback import WriteBackMode, Writer
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.stores.folder import FolderStore
from workers.stores.store import StoreAway


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
