"""Entries of the journal of statements and files of examples that were made to do harm."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from vectordb.decoders import from_json, from_msgpack
from workers.cli.teach import LINE_MAX, UnreadableExamples, _read
from workers.images.statement_journal import LABELS_MAX, Entry, StatementJournal
from workers.lifecycle.statements import Statement
from workers.stores.folder import FolderStore

NOW = time.time()
DEEP = b'{"key":"a.jpg","label":"cat","said_at":1,"more":' + b"[" * 30_000 + b"]" * 30_000 + b"}"


@dataclass
class Bucket:
    """A folder in which anybody may write entries."""

    store: FolderStore
    journal: StatementJournal

    def write(self, data: bytes, number: int = 0) -> None:
        self.store.put("inbox", f".wildtag/statements/{number:015}-{number:08}.json", io.BytesIO(data))

    def read(self) -> tuple[list[Entry], list[str]]:
        """The entries, and why the others were not read."""
        with capture_logs() as logs:
            return self.journal.entries(), [line["reason"] for line in logs]


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    (tmp_path / "inbox").mkdir()
    store = FolderStore({"inbox": tmp_path / "inbox"})
    return Bucket(store, StatementJournal(store, "inbox", ".wildtag/"))


def said(label: str = "cat", etag: str = "e1", at: float = NOW, number: bytes | None = None) -> Statement:
    return Statement(label, True, etag, at, number)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (Entry("a.jpg", "cat", NOW + 10**6, said()), "in the future"),
        (Entry("a.jpg", "cat", 1e300), "in the future"),
        (Entry("a.jpg", "cat", -1.0), "in the future"),
        (Entry("a.jpg", "cat", NOW, said(at=1e300)), "in the future"),
        (Entry("a.jpg", "cat", NOW, said("dog")), "another label"),
        (Entry("a.jpg", "c" * 101, NOW, said("c" * 101)), "101 characters"),
        (Entry("a.jpg", "cat\x1b[2J", NOW, said("cat\x1b[2J")), "control characters"),
        (Entry("a.jpg", "cat\u202egpj", NOW, said("cat\u202egpj")), "control characters"),
        (Entry("a.jpg", "...", NOW), "no letter or digit"),
        (Entry("", "cat", NOW), "key is not"),
        (Entry("a" * 1025, "cat", NOW), "key is not"),
        (Entry("a.jpg", "cat", NOW, said(etag="e" * 201)), "version is not"),
        (Entry("a.jpg", "cat", NOW, said(number=b"short")), "version is not"),
    ],
)
def test_an_entry_that_nobody_can_have_said(bucket: Bucket, entry: Entry, reason: str) -> None:
    bucket.write(msgspec.json.encode(entry))
    bucket.write(msgspec.json.encode(Entry("a.jpg", "cat", NOW, said())), 1)
    entries, reasons = bucket.read()
    assert entries == [Entry("a.jpg", "cat", NOW, said())]
    assert len(reasons) == 1
    assert reason in reasons[0]


@pytest.mark.parametrize("data", [DEEP, b"[" * 60_000, b"\xff" * 100, b"", b"null", b"x" * 70_000])
def test_an_entry_that_is_none(bucket: Bucket, data: bytes) -> None:
    bucket.write(data)
    entries, reasons = bucket.read()
    assert entries == []
    assert len(reasons) == 1


def test_countless_labels_of_one_object(bucket: Bucket) -> None:
    """They would all be read, and written, with each statement about it."""
    for number in range(LABELS_MAX + 3):
        bucket.write(msgspec.json.encode(Entry("a.jpg", f"cat{number}", NOW, said(f"cat{number}"))), number)
    entries, reasons = bucket.read()
    assert len(entries) == LABELS_MAX
    assert len(reasons) == 3


def test_labels_that_were_taken_back_leave_room_for_others(bucket: Bucket) -> None:
    """Otherwise a label that was taken back would come back, once its object had seen many others."""
    number = 0
    for label in [*(f"cat{one}" for one in range(LABELS_MAX)), "dog", "horse"]:
        for statement in (said(label), None):
            bucket.write(msgspec.json.encode(Entry("a.jpg", label, NOW, statement)), number)
            number += 1
    entries, reasons = bucket.read()
    assert (len(entries), reasons) == (number, [])


@pytest.mark.parametrize("target", ["000000000000001-00000001.json", "x" * 300])
def test_an_entry_that_is_a_link_to_nowhere_does_not_cost_the_others(
    bucket: Bucket, tmp_path: Path, target: str
) -> None:
    """A link to itself ended the restoration each time, and with it the dispatcher's start."""
    good = Entry("a.jpg", "cat", NOW, said())
    bucket.write(msgspec.json.encode(good))
    (tmp_path / "inbox/.wildtag/statements/000000000000001-00000001.json").symlink_to(target)
    assert bucket.read()[0] == [good]


def test_an_entry_that_is_a_link_to_a_file_outside(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(msgspec.json.encode(Entry("a.jpg", "cat", NOW)))
    folder = tmp_path / "inbox" / ".wildtag" / "statements"
    folder.mkdir(parents=True)
    (folder / "000000000000000-00000000.json").symlink_to(tmp_path / "secret")
    assert bucket.read()[0] == []


@pytest.mark.parametrize("data", [DEEP, b"x" * (LINE_MAX + 1), b"[" * 60_000, b'{"key":1}'])
def test_examples_that_were_made_to_do_harm(data: bytes) -> None:
    with pytest.raises(UnreadableExamples, match="line 1 is not an example"):
        list(_read(io.BytesIO(data)))


def test_what_is_nested_too_deeply_is_a_fault_of_the_message() -> None:
    """Of every message that is decoded."""
    with pytest.raises(msgspec.DecodeError, match="nested too deeply"):
        from_json(DEEP, Entry)
    with pytest.raises(msgspec.DecodeError, match="nested too deeply"):
        from_msgpack(b"\x81\xa1x" + b"\x91" * 60_000 + b"\xc0", Statement)
