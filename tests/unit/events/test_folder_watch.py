"""A file is reported only when it has stopped changing."""

from __future__ import annotations

from tasks.message_parts import ObjectRef
from workers.events.folder_watch import SettlingFiles
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
