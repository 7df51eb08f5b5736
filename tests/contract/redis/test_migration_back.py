"""The way back to an older layout: all is as it was, wherever it was interrupted, or nothing is changed."""

from __future__ import annotations

import pytest

from tests.contract import old_home
from tests.contract.redis.layout_processes import Run
from tests.contract.redis.layout_processes import environment as environment  # noqa: PLC0414 -- a fixture
from tests.contract.redis.layout_processes import wildtag as wildtag  # noqa: PLC0414 -- a fixture
from vectordb.errors import Permanent
from workers.lifecycle.migrations import MIGRATIONS
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.redis.layout import VERSION, Layout, OtherLayout
from workers.redis.migration import Migration, Migrator, NoWayBack
from workers.redis.migration_steps import Rename, RenameFamily

LONG_AGO = 1_700_000_000.0
NEWEST = Migration(
    VERSION + 1, (RenameFamily("entry:", "item:"), Rename("ledger", "accepted")),
    back=(RenameFamily("item:", "entry:"), Rename("accepted", "ledger")),
)  # fmt: skip
NEXT = (*MIGRATIONS, NEWEST)


def dumped(client: Client) -> dict[bytes, bytes]:
    return {key: bytes(client.dump(key) or b"") for key in client.scan_iter()}


def filled(client: Client, keys: Keys) -> dict[bytes, bytes]:
    old_home.fill(client, keys.prefix, at=LONG_AGO)
    Migrator(client, keys, MIGRATIONS).run()
    client.set(f"{keys.prefix}ledger", "x")
    return dumped(client)


def test_forward_and_back_is_as_it_was(client: Client, keys: Keys) -> None:
    before = filled(client, keys)
    forward = Migrator(client, keys, NEXT).run()
    assert (forward.before, forward.after) == (VERSION, VERSION + 1)
    assert dumped(client) != before
    planned = Migrator(client, keys, NEXT).plan(VERSION)
    back = Migrator(client, keys, NEXT).run(VERSION)
    assert (back.before, back.after) == (VERSION + 1, VERSION)
    assert [one.changed for one in back.steps] == [one.changed for one in planned.steps]
    assert dumped(client) == before
    assert Migrator(client, keys, NEXT).settled(VERSION)
    Layout(client, keys).require()


@pytest.mark.parametrize("last", range(4))
def test_forward_and_back_from_wherever_it_was_interrupted(client: Client, keys: Keys, last: int) -> None:
    """Nothing of any release starts between two versions; both ways lead out of there."""

    class Interrupted(Exception):
        pass

    before = filled(client, keys)
    if back := last >= 2:
        Migrator(client, keys, NEXT).run()
    ended: list[object] = []

    def report(what: object) -> None:
        ended.append(what)
        if len(ended) > last % 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        Migrator(client, keys, NEXT, report).run(VERSION if back else None)
    assert client.get(keys.layout_version) == f"{VERSION}+".encode()
    with pytest.raises(OtherLayout, match="a migration runs, or was interrupted"):
        Layout(client, keys).require()
    with pytest.raises(OtherLayout):
        Migrator(client, keys, MIGRATIONS).run()  # of a release that does not know the way
    assert Migrator(client, keys, NEXT).run().after == VERSION + 1
    assert Migrator(client, keys, NEXT).run(VERSION).after == VERSION
    assert dumped(client) == before


def test_where_there_is_no_way_back_the_backup_is_named_and_nothing_changed(client: Client, keys: Keys) -> None:
    filled(client, keys)
    Migrator(client, keys, NEXT).run()
    before = dumped(client)
    for to in (VERSION - 1, 0):
        for call in (Migrator(client, keys, NEXT).run, Migrator(client, keys, NEXT).plan):
            with pytest.raises(NoWayBack, match=r"version 3 cannot be brought back to 2: .* restore the backup"):
                call(to)
    with pytest.raises(Permanent, match=r"there is no layout version 9"):
        Migrator(client, keys, NEXT).run(9)
    assert dumped(client) == before


@pytest.mark.parametrize("arguments", [("dispatcher",), ("worker", "extraction"), ("results",)], ids=" ".join)
def test_no_process_starts_while_a_migration_runs(
    client: Client, keys: Keys, wildtag: Run, arguments: tuple[str, ...]
) -> None:
    filled(client, keys)
    client.set(keys.layout_version, f"{VERSION}+")
    before = dumped(client)
    done = wildtag(*arguments)
    assert done.returncode == 1
    assert "a migration runs, or was interrupted" in done.stderr
    assert dumped(client) == before
