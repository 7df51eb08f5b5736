"""Words on disk: a cache that outlives Redis, and that never stands in the way."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from tasks.cache import LRUCache
from workers.captions.word_store import AT_ONCE, WordsFirst, WordStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "words.sqlite"


def test_words_are_there_for_other_processes_and_later(path: Path) -> None:
    writing, reading = WordStore(path), WordStore(path)
    assert reading.get_many(["word/a"]) == [None]
    assert not path.exists()  # reading makes no file
    writing.set_many({"word/a": b"1", "word/é": b"2"})
    assert reading.get_many(["word/é", "word/b", "word/a"]) == [b"2", None, b"1"]
    writing.set_many({"word/a": b"3"})
    assert WordStore(path).get_many(["word/a"]) == [b"3"]
    assert writing.count() == 2
    writing.set_many({"word/é": b"4", "word/c": b"5"})
    assert writing.count() == 3


def test_many_keys_are_read(path: Path) -> None:
    store = WordStore(path)
    items = {f"word/{number}": str(number).encode() for number in range(3 * AT_ONCE)}
    store.set_many(items)
    assert store.get_many(list(items)) == list(items.values())
    assert store.get_many([]) == []


def test_what_is_finished_is_remembered(path: Path) -> None:
    assert not WordStore(path).is_finished("phrases/starter@1")
    WordStore(path).finish("phrases/starter@1")
    assert WordStore(path).is_finished("phrases/starter@1")
    assert not WordStore(path).is_finished("phrases/starter@2")


def test_a_damaged_file_is_no_fault_of_an_image(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    store = WordStore(path)
    assert store.get_many(["word/a"]) == [None]
    with pytest.raises(sqlite3.DatabaseError):
        store.set_many({"word/a": b"1"})


def test_threads_may_use_it_at_once(path: Path) -> None:
    store = WordStore(path)
    faults: list[BaseException] = []

    def write(name: int) -> None:
        try:
            for number in range(50):
                store.set_many({f"word/{name}/{number}": b"1"})
                store.get_many([f"word/{name}/{number}"])
        except BaseException as exc:
            faults.append(exc)

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert store.count() == 200


def test_words_come_from_the_store_and_all_else_from_the_other_cache(path: Path) -> None:
    store, others = WordStore(path), LRUCache(10)
    store.set_many({"word/a": b"kept"})
    cache = WordsFirst(store, others)
    cache.set_many({"word/b": b"seen", "phrases/1": b"parsed"})
    assert cache.get_many(["phrases/1", "word/a", "word/b", "word/c"]) == [b"parsed", b"kept", b"seen", None]
    assert store.get_many(["word/b"]) == [None]  # the file has the words of captions alone
    assert WordsFirst(store).get_many(["word/a", "word/b"]) == [b"kept", None]
    WordsFirst(store).set_many({"word/b": b"lost"})
