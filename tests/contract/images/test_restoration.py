"""Statements and their journal are in step again after a failed write, a failover, and a loss of Redis."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from vectordb.errors import Transient
from workers.images.backlog import Backlog
from workers.images.statement_journal import LOOK_S, Entry, Restoration, StatementJournal
from workers.lifecycle.inbox import LowPriorityInbox
from workers.lifecycle.statements import Statement, Statements
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.stores.folder import FolderStore
from workers.stores.store import ObjectForbidden, StoreAway

OID = "inbox/cat.jpg"


class World:
    """One Redis and one journal. ``server``: the run of Redis."""

    def __init__(self, client: Client, keys: Keys, home: Path) -> None:
        (home / "inbox").mkdir()
        self.client: Any = client
        self.now, self.server = 1000.0, "one"
        self.fault: Exception | None = None
        self.store = FolderStore({"inbox": home / "inbox"})
        self.put = self.store.put
        self.store.put = self.stored  # type: ignore[method-assign, assignment]  # fails when a test wants it
        self.statements = Statements(client, keys)
        self.journal = StatementJournal(self.store, "inbox", ".wildtag/")
        self.backlog = Backlog(client, keys, LowPriorityInbox(client, keys))
        self.restoration = self.another()

    def another(self) -> Restoration:
        """Of another process."""
        return Restoration(
            self.journal, self.statements, self.backlog, lambda: self.now, lambda: self.server,
            elapsed=lambda: self.now,
        )  # fmt: skip

    def stored(self, *args: Any) -> Any:
        if self.fault is not None:
            raise self.fault
        return self.put(*args)

    def say(self, label: str, *, accepted: bool | None) -> bool:
        """Returns whether the journal has it."""
        statement = None if accepted is None else Statement(label, accepted, "e1", self.now)
        _, word = self.statements.say(OID, label, statement, self.now)
        try:
            self.journal.write(self.statements, word)
        except (Transient, ObjectForbidden):
            return False
        return True

    def step(self) -> None:
        self.now += LOOK_S
        self.restoration.step()

    def labels(self) -> list[str]:
        return sorted(one.label for _, all_ in self.statements.all() for one in all_)

    def saved(self) -> dict[bytes, bytes]:
        return {key: self.client.dump(key) for key in self.client.scan_iter()}

    def rolled_back(self, to: dict[bytes, bytes]) -> None:
        """A replica without the last moments takes over."""
        self.client.flushall()
        for key, value in to.items():
            self.client.restore(key, 0, value)
        self.server += "'"


@pytest.fixture
def world(client: Client, keys: Keys, tmp_path: Path) -> World:
    client.flushall()
    return World(client, keys, tmp_path)


@pytest.mark.parametrize("fault", [StoreAway("the bucket is away"), ObjectForbidden("it is read-only")])
def test_what_was_taken_back_while_the_bucket_was_away_stays_so(world: World, fault: Exception) -> None:
    world.step()
    assert world.say("cat", accepted=True)
    assert world.say("dog", accepted=True)
    world.fault = fault
    assert not world.say("Cats", accepted=None)
    assert not world.say("sofa", accepted=False)
    with pytest.raises(StoreAway) if isinstance(fault, StoreAway) else nullcontext():
        world.step()
    world.client.delete("test:statements-restored")  # as after the loss of another partition
    world.another().step()
    assert world.labels() == ["dog", "sofa"]
    world.fault = None
    world.step()
    assert world.statements.unwritten() == []
    world.client.flushall()
    world.step()
    assert world.labels() == ["dog", "sofa"]


def test_the_last_moments_before_a_failover_are_replayed(world: World) -> None:
    world.step()
    for label in ("cat", "dog"):
        world.say(label, accepted=True)
    world.now += 3600
    before = world.saved()
    world.say("cat", accepted=None)
    world.say("sofa", accepted=True)
    world.rolled_back(before)
    assert world.labels() == ["cat", "dog"]
    world.step()
    assert world.labels() == ["dog", "sofa"]
    assert world.backlog.waiting() == 1
    assert [oid for oid, _ in world.statements.unfollowed()] == [OID]
    looked = world.journal.entries
    world.journal.entries = None  # type: ignore[assignment,method-assign]  # it is not read again
    world.step()
    world.journal.entries = looked  # type: ignore[method-assign]


def test_the_end_of_the_journal_is_read_and_not_all_of_it(world: World) -> None:
    world.step()
    world.say("cat", accepted=True)
    world.now += 3600
    world.say("dog", accepted=True)
    after = f"{int(world.statements.journal_position()[:15]) - 600_000:015d}"
    assert [entry.label for entry in world.journal.entries(world.now, after)] == ["dog"]


def test_a_replay_that_began_before_something_was_taken_back_does_not_bring_it_back(world: World) -> None:
    world.say("cat", accepted=True)
    read = world.journal.entries

    def meanwhile(now: float | None = None, after: str = "") -> list[Entry]:
        found = read(now, after)
        world.say("cat", accepted=None)
        return found

    world.journal.entries = meanwhile  # type: ignore[method-assign]  # somebody speaks while it is read
    world.restoration.step()
    assert world.labels() == []


def test_entries_of_one_moment_count_in_the_order_in_which_they_were_said(world: World) -> None:
    """As older releases wrote them: with the time of the clock, which may stand still."""
    world.journal.append(Entry("cat.jpg", "cat", 5.0, Statement("cat", True, "e1", 5.0)))
    world.journal.append(Entry("cat.jpg", "cat", 5.0))
    world.step()
    assert world.labels() == []
