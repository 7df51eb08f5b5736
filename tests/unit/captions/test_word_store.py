"""Words on disk: a cache that outlives Redis, and that never stands in the way."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from tasks.cache import LRUCache
from tests.eventually import eventually
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


def test_a_damaged_value_is_not_known(path: Path) -> None:
    store = WordStore(path)
    vectors = {f"word/{number}": bytes([number]) * 1536 for number in range(20)}
    store.set_many(vectors)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = path.read_bytes()
    assert content.count(b"\x07" * 1536) == 1
    path.write_bytes(content.replace(b"\x07" * 1536, b"\x07" * 800 + b"\x87" + b"\x07" * 735))
    assert WordStore(path).get_many(list(vectors)) == [
        None if key == "word/7" else vector for key, vector in vectors.items()
    ]


def test_a_value_of_another_type_is_not_known(path: Path) -> None:
    store = WordStore(path)
    store.set_many({"word/a": b"1", "word/b": b"2"})
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE checked SET value = 7 WHERE key = 'word/a'")
    assert store.get_many(["word/a", "word/b"]) == [None, b"2"]


def test_an_image_waits_for_nobody_who_writes(path: Path) -> None:
    store = WordStore(path)
    store.set_many({"word/a": b"1"})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # such as a stack with the same home whose disk is slow
    writer = threading.Thread(target=store.set_many, args=({"word/b": b"2"},))
    writer.start()
    eventually(store._writing._lock.locked, 5)
    assert store.get_many(["word/a"]) == [b"1"]
    assert writer.is_alive()
    assert WordStore(path).get_many(["word/a"]) == [b"1"]
    other.execute("COMMIT")
    writer.join()
    assert store.get_many(["word/b"]) == [b"2"]


def test_a_file_that_is_busy_is_read_later(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path.parent / "words", isolation_level=None) as other:
        other.execute("CREATE TABLE x (y)")
        other.execute("BEGIN EXCLUSIVE")  # no write-ahead log yet
        store = WordStore(path.parent / "words")
        assert store.get_many(["word/a"]) == [None]
        other.execute("COMMIT")
    WordStore(path.parent / "words").set_many({"word/a": b"1"})
    assert store.get_many(["word/a"]) == [b"1"]


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
