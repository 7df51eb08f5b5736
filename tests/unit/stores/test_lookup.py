"""Looks at many objects: several at once, few into silence, and one question about the bucket for all who wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import pytest

from tasks.message_parts import ObjectRef, UserMetadata
from vectordb.errors import Permanent
from workers.stores.lookup import SILENCES, THREADS, NotAsked, look
from workers.stores.s3_presence import BucketPresence
from workers.stores.store import (
    ObjectError,
    ObjectForbidden,
    ObjectInfo,
    ObjectNameRefused,
    StoreAway,
    Wanted,
    anything,
)

PATIENCE = 60


class Answering:
    """An ``ObjectStore`` that can only be looked at."""

    def __init__(self, answer: Callable[[str], ObjectInfo | None]) -> None:
        self._answer = answer
        self.asked: list[str] = []
        self.listed: set[str] = set()
        self.unlistable: set[str] = set()

    def stat(self, bucket: str, key: str) -> ObjectInfo | None:
        assert bucket == "b"
        self.asked.append(key)
        return self._answer(key)

    def list(self, bucket: str, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        assert (bucket, after) == ("b", "")
        if ".." in self.unlistable:
            raise ObjectNameRefused("not even listed")
        return (ObjectInfo(ObjectRef("b", key, "e"), "") for key in sorted(self.listed) if key.startswith(prefix))

    def get(self, bucket: str, key: str, limit: int, wanted: Wanted = anything) -> tuple[bytes, ObjectInfo]:
        raise NotImplementedError

    def put(
        self,
        bucket: str,
        key: str,
        data: BinaryIO,
        content_type: str | None = None,
        user_metadata: UserMetadata | None = None,
    ) -> ObjectInfo:
        raise NotImplementedError

    def remove(self, bucket: str, key: str) -> None:
        raise NotImplementedError


def places(count: int) -> list[tuple[str, str]]:
    return [("b", str(number)) for number in range(count)]


def test_each_object_gets_its_own_answer_and_is_asked_about_once() -> None:
    info = ObjectInfo(ObjectRef("b", "0", "e"), "")
    errors = {"1": ObjectForbidden("no"), "2": StoreAway("503")}

    def answer(key: str) -> ObjectInfo | None:
        if key in errors:
            raise errors[key]
        return info if key == "0" else None

    store = Answering(answer)
    assert look(store, places(4) * 3) == {
        ("b", "0"): info, ("b", "1"): errors["1"], ("b", "2"): errors["2"], ("b", "3"): None,
    }  # fmt: skip
    assert sorted(store.asked) == ["0", "1", "2", "3"]
    assert look(store, []) == {}
    assert look(store, places(1)) == {("b", "0"): info}


def test_several_are_asked_about_at_once() -> None:
    together = threading.Barrier(THREADS)

    def answer(_: str) -> None:
        together.wait(PATIENCE)

    assert set(look(Answering(answer), places(THREADS * 3)).values()) == {None}


def test_a_store_that_is_silent_is_left_alone() -> None:
    def answer(key: str) -> None:
        raise StoreAway(key)

    store = Answering(answer)
    found = look(store, places(100))
    assert SILENCES <= len(store.asked) < SILENCES + THREADS
    assert sum(isinstance(one, NotAsked) for one in found.values()) == 100 - len(store.asked)
    assert all(isinstance(one, StoreAway) for one in found.values())


def test_a_bug_is_not_taken_for_an_answer() -> None:
    def answer(key: str) -> None:
        raise KeyError(key)

    with pytest.raises(KeyError):
        look(Answering(answer), places(5))


# -- the bucket


def test_an_answer_is_shared_only_with_those_who_came_before_its_question() -> None:
    begun, go_on = threading.Event(), threading.Event()
    asked: list[str] = []

    def ask(bucket: str) -> bool:
        asked.append(bucket)
        begun.set()
        assert go_on.wait(PATIENCE)
        return len(asked) == 1  # it vanishes after the first question

    there = BucketPresence(ask)
    with ThreadPoolExecutor(7) as pool:
        first = pool.submit(there, "b")
        assert begun.wait(PATIENCE)
        later = [pool.submit(there, "b") for _ in range(6)]
        go_on.set()
        assert first.result(PATIENCE) is True
        assert [one.result(PATIENCE) for one in later] == [False] * 6
    assert 2 <= len(asked) <= 7
    assert there("b") is False  # and nothing is remembered


@pytest.mark.parametrize("error", [StoreAway("503"), ObjectError("no such bucket"), Permanent("a bad name")])
def test_who_shares_a_question_shares_its_error_and_the_next_is_a_new_one(error: Exception) -> None:
    answers: list[Exception | bool] = [error, True]

    def ask(_: str) -> bool:
        said = answers.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    there = BucketPresence(ask)
    with pytest.raises(type(error)):
        there("b")
    assert there("b") is True


def test_of_a_key_that_no_request_can_name_the_listing_decides() -> None:
    def refuse(key: str) -> ObjectInfo | None:
        raise ObjectNameRefused(key)

    store = Answering(refuse)
    store.listed = {"a/../b", "a/./c.jpg"}
    keys = ["a/../b", "a/../", "..", "a/./c", "gone/../x", "\udce9"]
    assert {key for key in keys if look(store, [("b", key)])["b", key] is not None} == {"a/../b"}
    store.unlistable = {".."}
    assert look(store, [("b", "a/../b")]) == {("b", "a/../b"): None}
