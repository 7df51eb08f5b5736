"""Objects of a batch are fetched several at a time, and come back in their order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from tasks.message_parts import ObjectRef
from tests.unit.stages.made_up import references
from vectordb.errors import Transient
from workers.stages.fetching import fetch
from workers.stores.object_filter import ObjectFilter
from workers.stores.store import ObjectError, ObjectInfo, ObjectStore, ObjectUnwanted

AT_ONCE = 4


class Slow:
    """A store in which no object comes before ``AT_ONCE`` are wanted. ``errors``: by key."""

    def __init__(self, **errors: Exception) -> None:
        self._errors = errors
        self._together = threading.Barrier(AT_ONCE)

    def get(self, bucket: str, key: str, limit: int, wanted: Callable[[ObjectInfo], bool]) -> tuple[bytes, Any]:
        self._together.wait(timeout=60)
        if error := self._errors.get(key.removesuffix(".png")):
            raise error
        info = ObjectInfo(next(ref for ref in references(8) if ref.key == key), sequence="")
        assert wanted(info)
        assert limit == 99
        return f"{bucket}/{key}".encode(), info


def fetched(store: Slow, refs: tuple[ObjectRef, ...]) -> Any:
    with ThreadPoolExecutor(AT_ONCE) as executor:
        return fetch(cast("ObjectStore", store), refs, 99, lambda _: True, executor)


def test_several_are_fetched_at_a_time_and_the_order_is_kept() -> None:
    refs = references(8)
    found = fetched(Slow(), refs)
    assert [ref.key for ref in found.refs] == [ref.key for ref in refs]
    assert found.images == [f"{ref.bucket}/{ref.key}".encode() for ref in refs]


def test_an_object_that_cannot_be_read_costs_no_other() -> None:
    found = fetched(Slow(**{"2": ObjectError("it is damaged")}), references(8))
    assert [fault.object.key for fault in found.faults] == ["2.png"]
    assert [ref.key for ref in found.refs] == [f"{at}.png" for at in range(8) if at != 2]
    assert len(found.images) == 7


def test_a_store_that_is_away_concerns_the_whole_batch() -> None:
    with pytest.raises(Transient, match="away"):
        fetched(Slow(**{"1": Transient("away")}), references(4))


PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


@pytest.mark.parametrize(
    ("content_type", "data", "state"),
    [
        ("application/octet-stream", PNG, "skipped"), ("binary/octet-stream", PNG, "skipped"), (None, PNG, "skipped"),
        ("image/jpeg", PNG, "images"),  # a type that tells something is believed
        ("application/octet-stream", b"\xff\xd8\xff\xe0" + b"\0" * 64, "images"),
        ("application/octet-stream", b"no image at all", "images"),  # that it is none is decided later
        ("image/gif", PNG, "skipped"),
    ],
)  # fmt: skip
def test_where_the_type_tells_nothing_the_content_decides(content_type: str | None, data: bytes, state: str) -> None:
    (ref,) = references(1)
    chosen = ObjectFilter(content_types=["image/jpeg"])

    class Store:
        def get(
            self, _bucket: str, _key: str, _limit: int, wanted: Callable[[ObjectInfo], bool]
        ) -> tuple[bytes, ObjectInfo]:
            info = ObjectInfo(ref, sequence="", content_type=content_type)
            if not wanted(info):
                raise ObjectUnwanted(info)
            return data, info

    store = cast("ObjectStore", Store())
    found = fetch(store, [ref], 99, chosen.content, found_type=chosen.found_content)
    assert [name for name, values in vars(found).items() if values and name != "refs"] == [state]
