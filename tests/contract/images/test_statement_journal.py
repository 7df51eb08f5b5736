"""The journal of what people said, in a folder and in a bucket."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.contract.real_servers import S3_SERVERS
from tests.unit.lifecycle.statements_samples import said
from workers.images.statement_journal import Entry, StatementJournal
from workers.lifecycle.statements import Statements
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.stores.folder import FolderStore
from workers.stores.s3 import S3Store
from workers.stores.store import ObjectStore, StoreAway


@pytest.fixture(params=["folder", "elsewhere", *S3_SERVERS])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, bucket: str, make_s3: Callable[[str], S3Store]
) -> ObjectStore:
    if request.param in S3_SERVERS:
        return make_s3(request.param)
    (tmp_path / "inbox").mkdir()
    return FolderStore(
        {bucket: tmp_path / "inbox"}, elsewhere=tmp_path / "own" if request.param == "elsewhere" else None
    )


@pytest.fixture
def journal(store: ObjectStore, bucket: str) -> StatementJournal:
    return StatementJournal(store, bucket, ".wildtag/")


@pytest.fixture
def statements(client: Client, keys: Keys) -> Statements:
    return Statements(client, keys)


def test_entries_come_back_in_the_order_in_which_they_were_said(journal: StatementJournal) -> None:
    assert journal.entries() == []
    made = [Entry("köln/a b.jpg", f"label {n}", 9.5 + n, said(f"label {n}", number=bytes(range(32)))) for n in (0, 1)]
    for entry in (*reversed(made), Entry("a.jpg", "label", 12.0)):
        journal.append(entry)
    assert journal.entries() == [*made, Entry("a.jpg", "label", 12.0)]


def test_entries_are_no_objects(journal: StatementJournal, store: ObjectStore, bucket: str) -> None:
    journal.append(Entry("a.jpg", "cat", 1.0))
    if isinstance(store, FolderStore):  # the filter of keys leaves them out of a bucket on a server
        assert list(store.list(bucket)) == []
    assert [info.ref.key.startswith(".wildtag/statements/") for info in store.list(bucket, ".wildtag/")] == [True]


def test_a_damaged_entry_is_named_and_the_others_are_read(
    journal: StatementJournal, store: ObjectStore, bucket: str
) -> None:
    journal.append(Entry("a.jpg", "cat", 1.0))
    name = ".wildtag/statements/000000000000500-damaged.json"
    store.put(bucket, name, io.BytesIO(b'{"key": "a.jpg", "lab'))
    with capture_logs() as logs:
        assert [entry.key for entry in journal.entries()] == ["a.jpg"]
    assert [line["key"] for line in logs] == [name]


def test_a_replay_gives_what_was_said_last(journal: StatementJournal, statements: Statements, bucket: str) -> None:
    journal.append(Entry("a.jpg", "Cats", 1.0, said("Cats")))
    journal.append(Entry("a.jpg", "cat", 2.0, said("cat", accepted=False)))
    journal.append(Entry("b.jpg", "dog", 3.0, said("dog")))
    journal.append(Entry("b.jpg", "Dogs", 4.0))
    assert journal.replay(statements) == [f"{bucket}/a.jpg"]
    assert list(statements.all()) == [(f"{bucket}/a.jpg", [said("cat", accepted=False)])]
    assert journal.replay(statements) == []  # it changes nothing more


def test_a_folder_that_cannot_be_listed_is_no_empty_journal(tmp_path: Path) -> None:
    (tmp_path / "inbox" / ".wildtag").mkdir(parents=True)
    (tmp_path / "inbox" / ".wildtag" / "statements").write_text("not a folder")
    journal = StatementJournal(FolderStore({"inbox": tmp_path / "inbox"}), "inbox", ".wildtag/")
    assert journal.entries() == []  # a file in its place holds no entries, and the next entry says so
    with pytest.raises(StoreAway):
        journal.append(Entry("a.jpg", "cat", 1.0))
