"""Adapters that are timed look and work as before, and their errors become one of a few words."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.cache import LRUCache
from tasks.encoders.protocols import Described, Space
from tasks.model_description import Description
from tests.unit.monitoring.forked import samples
from vectordb.errors import Transient
from vectordb.index import IndexFault, IndexLocked, IndexMissing, WrongDimension
from vectordb.server_errors import KeyRefused, ServerAway
from workers.monitoring.busy_time import BusyTime
from workers.monitoring.catalogue import STAGE_BUSY
from workers.monitoring.measured import MeasuredCache, index_error, measured_encoder, measured_index
from workers.monitoring.meter import Meter
from workers.monitoring.timed import timed
from workers.stores.folder import FolderStore
from workers.stores.measured_store import measured_store, store_error
from workers.stores.store import (
    BucketMissing,
    ObjectForbidden,
    ObjectGone,
    ObjectTooLarge,
    ObjectUnwanted,
    StoreAway,
    StoreRefuses,
    anything,
)

Noted = list[tuple[str, str]]


class Adapter:
    """What the tests wrap."""

    def __init__(self) -> None:
        self.closed = 0
        self.size = 1

    @property
    def description(self) -> Description:
        return Description("cpu", "r", "d", 8)

    def find(self, what: str, *, much: bool = False) -> str:
        if what == "error":
            raise Transient(what)
        return what * (2 if much else 1)

    def pages(self, count: int) -> Iterator[int]:
        try:
            for number in range(count):
                yield number
                if number == 5:
                    raise Transient("broke off")
        finally:
            self.closed += 1

    def twice(self) -> str:
        return self.find("a") + self.find("b")


@pytest.fixture
def noted() -> Noted:
    return []


@pytest.fixture
def wrapped(meter: Meter, noted: Noted) -> Adapter:
    def note(method: str, seconds: float, error: Exception | None) -> None:
        assert 0 <= seconds < 1
        noted.append((method, type(error).__name__))

    return timed(Adapter(), ("find", "pages"), note, meter)


def test_it_looks_like_what_it_wraps(wrapped: Adapter) -> None:
    assert isinstance(wrapped, Adapter)
    assert isinstance(wrapped, Described)
    wrapped.size = 3
    assert wrapped.size == 3
    with pytest.raises(AttributeError):
        wrapped.missing  # type: ignore[attr-defined]  # noqa: B018 -- it raises


def test_a_call_and_its_error_are_noted(wrapped: Adapter, noted: Noted) -> None:
    assert wrapped.find("a", much=True) == "aa"
    with pytest.raises(Transient):
        wrapped.find("error")
    assert wrapped.twice() == "ab"  # what an adapter asks of itself is a part of its call
    assert noted == [("find", "NoneType"), ("find", "Transient")]


def test_pages_are_one_call_that_ends_with_the_last_one(wrapped: Adapter, noted: Noted) -> None:
    pages = wrapped.pages(3)
    assert not noted
    assert list(pages) == [0, 1, 2]
    assert next(wrapped.pages(3)) == 0  # nobody wants the others
    with pytest.raises(Transient):
        list(wrapped.pages(9))
    assert noted == [("pages", "NoneType"), ("pages", "NoneType"), ("pages", "Transient")]
    assert wrapped.closed == 3


def test_nothing_is_noted_where_nothing_is_counted(noted: Noted) -> None:
    wrapped = timed(Adapter(), ("find", "pages"), lambda *_: noted.append(("", "")), Meter())
    assert wrapped.find("a") == "a"
    assert list(wrapped.pages(2)) == [0, 1]
    assert not noted


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(("error", "word"), [
    (ObjectGone("no"), "not_found"), (BucketMissing("no"), "not_found"), (ObjectTooLarge("big"), "too_large"),
    (ObjectForbidden("no"), "denied"), (StoreRefuses("no"), "denied"), (StoreAway("no connection"), "unavailable"),
    (caused(StoreAway("away"), TimeoutError()), "timeout"), (StoreAway("Read timed out."), "timeout"),
    (caused(StoreAway("away"), OSError(errno.ENOSPC, "full")), "disk_full"), (ValueError("a bug"), "other"),
])  # fmt: skip
def test_errors_of_a_store(error: Exception, word: str) -> None:
    assert store_error(error) == word


@pytest.mark.parametrize(("error", "word"), [
    (ServerAway("away"), "unavailable"), (ServerAway("DEADLINE_EXCEEDED"), "timeout"), (KeyRefused("no"), "denied"),
    (IndexFault("bad"), "fault"), (IndexLocked("open"), "locked"), (IndexMissing("none"), "not_found"),
    (WrongDimension("3"), "refused"), (OSError(errno.EDQUOT, "full"), "disk_full"), (ValueError("a bug"), "other"),
])  # fmt: skip
def test_errors_of_an_index(error: Exception, word: str) -> None:
    assert index_error(error) == word


def test_a_store(meter: Meter, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "a.png").write_bytes(b"12345")
    store = measured_store(FolderStore({"inbox": tmp_path / "inbox"}, "out"), meter)
    assert isinstance(store, FolderStore)
    assert store.get("inbox", "a.png", 10)[0] == b"12345"
    assert len(list(store.list("inbox"))) == 1
    for key, limit, wanted in ("no.png", 10, True), ("a.png", 3, True), ("a.png", 10, False):
        with pytest.raises((ObjectGone, ObjectTooLarge, ObjectUnwanted)):
            store.get("inbox", key, limit, anything if wanted else lambda _: False)
    found = {name: value for name, value in samples(folder).items() if "bucket" not in name and "sum" not in name}
    assert found == {
        "wildtag_store_duration_seconds_count get": 1, "wildtag_store_duration_seconds_count list": 1,
        "wildtag_store_errors_total not_found get": 1, "wildtag_store_errors_total too_large get": 1,
    }  # fmt: skip


def test_an_index(meter: Meter, folder: Path) -> None:
    class Index:
        def search(self, vectors: Any, limit: int) -> list[int]:
            if limit == 0:
                raise IndexFault("bad")
            return [limit] * len(vectors)

        def count(self) -> int:
            return 7

    index = measured_index(Index(), "captions", meter)
    assert index.search(["a", "b"], 3) == [3, 3]
    with pytest.raises(IndexFault):
        index.search(["a"], 0)
    assert index.count() == 7
    found = samples(folder)
    assert found["wildtag_index_duration_seconds_count captions search"] == 1
    assert found["wildtag_index_errors_total fault captions search"] == 1


def test_an_encoder(meter: Meter, folder: Path) -> None:
    class Encoder:
        space = Space("bundled-1", 4, 1.0)
        description = Description("cuda:0", "r", "d", 8)

        def encode(self, texts: Any) -> Any:
            return np.zeros((len(texts), 4), np.float32)

    encoder = measured_encoder(Encoder(), "text", "bundled-1", meter)
    assert encoder.space.dimension == 4
    assert isinstance(encoder, Described)
    assert encoder.encode(["a", "b", "c"]).shape == (3, 4)
    encoder.encode(["d"])
    found = samples(folder)
    assert found["wildtag_encoded_items_total cuda:0 text bundled-1"] == 4
    assert found["wildtag_encoder_duration_seconds_count cuda:0 text bundled-1"] == 2


def test_a_cache(meter: Meter, folder: Path) -> None:
    cache = MeasuredCache(LRUCache(10), "words", meter)
    assert cache.get_many(["a", "b"]) == [None, None]
    cache.set_many({"a": b"1"})
    assert cache.get_many(["a", "b"]) == [b"1", None]
    assert samples(folder) == {
        "wildtag_cache_requests_total words hit": 1, "wildtag_cache_requests_total words miss": 3,
    }  # fmt: skip


def test_messages_that_overlap_are_busy_once(meter: Meter, folder: Path) -> None:
    now = 100.0
    busy = BusyTime(STAGE_BUSY, "embedding", meter=meter, clock=lambda: now)

    def shown() -> float:
        return samples(folder)["wildtag_stage_busy_seconds_total embedding"]

    first, second = busy.working(), busy.working()
    first.__enter__()
    now = 103.0
    second.__enter__()
    assert shown() == 3  # while there is always a message in progress, too
    now = 105.0
    first.__exit__(None, None, None)
    assert shown() == 5
    now = 106.0
    second.__exit__(None, None, None)
    now = 200.0  # idle
    with suppress(Transient), busy.working():
        now = 201.0
        raise Transient("it was work all the same")
    assert shown() == 7
