"""A file is reported only when it has stopped changing."""

from __future__ import annotations

from tasks.message_parts import ObjectRef
from workers.events.folder_watch import LEAST_MS, POLL_MS, SettlingFiles
from workers.stores.store import ObjectInfo


def info(etag: str) -> ObjectInfo:
    return ObjectInfo(ObjectRef("inbox", "a.jpg", etag), "")


def settled_etags(settling: SettlingFiles, now: float, etag: str | None) -> list[str | None]:
    found = settling.settled(lambda _: info(etag) if etag else None, now)
    return [seen.ref.etag if seen else None for _, seen in found]


def test_a_file_is_told_once_it_rested() -> None:
    settling = SettlingFiles(0.25)
    settling.touch("a.jpg", 10.0)
    assert settled_etags(settling, 10.0, "one") == []
    assert settled_etags(settling, 10.2, "one") == []
    assert settled_etags(settling, 10.3, "one") == ["one"]
    assert len(settling) == 0


def test_a_file_that_grows_waits() -> None:
    settling = SettlingFiles(0.25)
    settling.touch("a.jpg", 10.0)
    assert settled_etags(settling, 10.0, "one") == []
    assert settled_etags(settling, 10.3, "two") == []
    assert settled_etags(settling, 10.5, "two") == []
    settling.touch("a.jpg", 10.5)
    assert settled_etags(settling, 10.6, "two") == []
    assert settled_etags(settling, 10.8, "two") == ["two"]


def test_a_file_that_is_gone_is_told_at_once() -> None:
    settling = SettlingFiles(0.25)
    settling.touch("a.jpg", 10.0)
    assert settled_etags(settling, 10.0, None) == [None]


def test_files_are_looked_at_when_the_first_of_them_settles() -> None:
    settling = SettlingFiles(0.25)
    assert settling.due_ms(10.0) == POLL_MS
    settling.touch("a.jpg", 10.0)
    assert settled_etags(settling, 10.0, "one") == []
    settling.touch("b.jpg", 10.1)
    assert settling.due_ms(10.1) == POLL_MS
    assert settling.due_ms(10.1875) == 63
    assert settling.due_ms(10.249) == settling.due_ms(10.3) == LEAST_MS


def test_files_that_need_no_rest_do_not_keep_the_watch_busy() -> None:
    assert SettlingFiles(0.0).due_ms(10.0) == POLL_MS
