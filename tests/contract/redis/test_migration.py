"""Migrations of the Redis keys: nothing is lost, wherever they are interrupted."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from tasks.message_parts import Tag
from tests.contract import old_home
from tests.contract.redis.layout_processes import Run
from tests.contract.redis.layout_processes import environment as environment  # noqa: PLC0414 -- a fixture
from tests.contract.redis.layout_processes import wildtag as wildtag  # noqa: PLC0414 -- a fixture
from tests.eventually import eventually_while
from vectordb.errors import Permanent
from workers.lifecycle.migrations import MIGRATIONS
from workers.lifecycle.object_numbers import ObjectNumbers, member_of
from workers.lifecycle.record import Record
from workers.lifecycle.record_migrations import PackRecords
from workers.lifecycle.record_reader import Records
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.redis.layout import VERSION, Layout, OtherLayout
from workers.redis.maintenance_lock import LOCK
from workers.redis.migration import Migration, Migrator
from workers.redis.migration_steps import Rename, RenameFamily, RenameFields
from workers.redis.partitions import Partitions

LONG_AGO = 1_700_000_000.0


def test_the_last_migration_leads_to_the_version_of_this_code() -> None:
    assert [one.version for one in MIGRATIONS] == list(range(1, VERSION + 1))


def test_an_old_home_has_the_same_content_afterwards(client: Client, keys: Keys) -> None:
    old_home.fill(client, keys.prefix, at=LONG_AGO)
    old_home.fill(client, "other:", at=LONG_AGO)
    before, other = old_home.content(client, keys.prefix), old_home.content(client, "other:")
    planned = Migrator(client, keys, MIGRATIONS).plan()
    assert old_home.content(client, keys.prefix) == before
    outcome = Migrator(client, keys, MIGRATIONS).run()
    old_home.verify(client, keys.prefix, before)
    assert old_home.content(client, "other:") == other
    assert (outcome.before, outcome.after) == (planned.before, planned.after) == (0, VERSION)
    remade = 3  # the only record, and its places in the lists and in the index by tag
    assert sum(one.changed for one in outcome.steps) == len(old_home.RENAMED) + len(old_home.OIDS) + 7 + remade
    # what a plan cannot count is in a key that has its old name still
    assert [(p.step, p.changed) for p in planned.steps if not p.step.startswith("events:counts")] == [
        (d.step, d.changed) for d in outcome.steps if not d.step.startswith("events:counts")
    ]
    Layout(client, keys).require()
    assert Migrator(client, keys, MIGRATIONS).run().steps == ()


def test_it_continues_wherever_it_was_interrupted(client: Client, keys: Keys) -> None:
    """After each step, and in its middle: a batch of renamed keys has been written, and no more."""

    class Interrupted(Exception):
        pass

    for last in range(sum(len(one.steps) for one in MIGRATIONS)):
        client.flushall()
        old_home.fill(client, keys.prefix, at=LONG_AGO)
        before = old_home.content(client, keys.prefix)
        ended: list[object] = []

        def report(what: object, ended: list[object] = ended, last: int = last) -> None:
            ended.append(what)
            if len(ended) > last:
                raise Interrupted

        with pytest.raises(Interrupted):
            Migrator(client, keys, MIGRATIONS, report).run()
        with pytest.raises(OtherLayout):
            Layout(client, keys).require()
        Migrator(client, keys, MIGRATIONS).run()
        old_home.verify(client, keys.prefix, before)


@pytest.mark.long
def test_killed_again_and_again_it_comes_to_its_end(
    client: Client, keys: Keys, environment: dict[str, str], wildtag: Run
) -> None:
    """SIGKILL in the middle of a family of keys; its lock ends by itself."""
    wildtag("version")  # what runs commands imports for seconds when it is first used; the lock would end meanwhile
    old_home.fill(client, keys.prefix, at=LONG_AGO)
    pipe = client.pipeline(transaction=False)
    for number in range(30_000):
        pipe.set(f"{keys.prefix}wish:inbox/{number}", "dense")
    pipe.execute()
    before = old_home.content(client, keys.prefix)
    process = subprocess.Popen(
        [sys.executable, "-m", "workers.cli", "migrate"], env=environment, stderr=subprocess.PIPE, text=True
    )
    eventually_while(process, lambda: client.exists(f"{keys.prefix}segmentation-request:inbox/7"), 40)
    process.kill()
    process.communicate()
    left = len(list(client.scan_iter(f"{keys.prefix}wish:*", count=5000)))
    assert 0 < left < 30_000 + len(old_home.OIDS), "it was not killed in the middle"
    done = wildtag("migrate", "--json")
    assert done.returncode == 0, done.stderr
    assert "another `wildtag migrate` has the lock" in done.stderr
    body = json.loads(done.stdout)
    assert (body["from"], body["to"], body["dry_run"]) == (0, VERSION, False)
    assert {"version": 1, "step": "wish:* -> segmentation-request:*", "changed": left} in body["steps"]
    old_home.verify(client, keys.prefix, before)


def records_of_version_2(count: int) -> list[Record]:
    return [
        Record(bucket="inbox", key=f"{number:05}.png", etag=f"e{number}", state=("done", "failed")[number % 7 == 0],
               space_id="space", captions_version="c@1", tags=(Tag(f"thing {number % 5}", 0.5, 0.5, 0.5),),
               finished_at=100.0)
        for number in range(count)
    ]  # fmt: skip


def has_all(client: Client, keys: Keys, made: list[Record]) -> None:
    """That all records are as they were, each with a number of its own, and are listed and found."""
    records = Records(client, keys)
    assert records.get([one.id for one in made]) == made
    numbers = [head.number for head in records.heads.of([one.id for one in made]) if head is not None]
    assert len(set(numbers)) == len(made)
    assert ObjectNumbers(client, keys).oids([member_of(number) for number in numbers]) == [one.id for one in made]
    assert list(records.keys("inbox")) == [one.key for one in made]
    assert records.counts()["failed"] == sum(one.state == "failed" for one in made)
    assert sorted(records.oids()) == [one.id for one in made]
    assert sum(count for _, count in records.tag_index.common()) == len(made)
    assert not client.exists(f"{keys.prefix}state:done", f"{keys.prefix}state:failed")


def test_packing_goes_on_in_its_middle(client: Client, keys: Keys) -> None:
    made = records_of_version_2(1200)
    old_home.fill_version_2(client, keys.prefix, made, at=100.0)
    packing = PackRecords().run(client, keys.prefix)
    assert 0 < next(packing) < len(made)
    left = PackRecords().left(client, keys.prefix)
    assert 0 < left < len(made)
    steps = Migrator(client, keys, MIGRATIONS).run().steps
    assert [(one.version, one.changed) for one in steps] == [(3, left), (3, len(made)), (3, len(made))]
    has_all(client, keys, made)


@pytest.mark.long
def test_killed_while_it_packs_it_comes_to_its_end(
    client: Client, keys: Keys, environment: dict[str, str], wildtag: Run
) -> None:
    wildtag("version")
    made = records_of_version_2(20_000)
    old_home.fill_version_2(client, keys.prefix, made, at=100.0)
    process = subprocess.Popen([sys.executable, "-m", "workers.cli", "migrate"], env=environment)
    eventually_while(process, lambda: client.exists(keys.last_number), 40)
    process.kill()
    process.communicate()
    assert PackRecords().left(client, keys.prefix) > 0, "it was not killed in the middle"
    done = wildtag("migrate", "--json")
    assert done.returncode == 0, done.stderr
    has_all(client, keys, made)


def test_only_one_runs(client: Client, keys: Keys) -> None:
    old_home.fill(client, keys.prefix, at=LONG_AGO)
    reports: list[object] = []

    def second(_: object) -> None:
        if not reports:
            reports.append(1)
            with pytest.raises(Permanent, match="another `wildtag migrate` is running"):
                Migrator(client, keys, MIGRATIONS, lock_ms=500).run()

    # the first one keeps its lock while the second waits for it
    Migrator(client, keys, MIGRATIONS, second).run()
    assert reports
    assert not client.exists(keys.lock(LOCK))


def test_a_key_under_both_names_is_not_overwritten(client: Client, keys: Keys) -> None:
    old_home.fill(client, keys.prefix, at=LONG_AGO)
    client.set(f"{keys.prefix}artifacts", "kept")
    with pytest.raises(Permanent, match="'test:artifacts' is there already"):
        Migrator(client, keys, MIGRATIONS).run()
    assert client.get(f"{keys.prefix}artifacts") == b"kept"
    assert client.exists(f"{keys.prefix}drawn")
    assert not client.exists(keys.lock(LOCK))


def test_counters_under_both_names_are_added_up(client: Client, keys: Keys) -> None:
    client.hset(keys.event_counts, mapping={"webhook:junk": 2, "webhook:rejected": 3})
    list(RenameFields("events:counts", endings={"junk": "rejected"}).run(client, keys.prefix))
    assert client.hgetall(keys.event_counts) == {b"webhook:rejected": b"5"}


def test_later_versions_add_their_steps(client: Client, keys: Keys) -> None:
    """From version 0 all steps run, from this one only those of the next; each version is recorded at its end."""
    more = [*MIGRATIONS, Migration(VERSION + 1, (Rename("ledger", "open"), RenameFamily("entry:", "open:")))]
    old_home.fill(client, keys.prefix, at=LONG_AGO)
    outcome = Migrator(client, keys, more).run()
    assert (outcome.before, outcome.after, len(outcome.steps)) == (
        0, VERSION + 1, sum(len(one.steps) for one in more),
    )  # fmt: skip
    assert client.exists(f"{keys.prefix}open:inbox/a.png", f"{keys.prefix}open") == 2
    client.flushall()
    client.set(keys.layout_version, VERSION)
    outcome = Migrator(client, keys, more).run()
    assert (outcome.before, outcome.after, [one.version for one in outcome.steps]) == (
        VERSION, VERSION + 1, [VERSION + 1] * 2,
    )  # fmt: skip
    assert client.get(keys.layout_version) == str(VERSION + 1).encode()


def test_nothing_is_migrated_while_a_process_runs(client: Client, keys: Keys) -> None:
    """One whose heartbeats go on; one that has stopped a moment ago is waited for."""
    old_home.fill(client, keys.prefix, at=time.time() - 0.7)
    reports: list[object] = []
    Migrator(client, keys, MIGRATIONS, reports.append).stopped(quiet_s=1.0)
    assert "waiting" in str(reports)
    client.hset(f"{keys.prefix}health", "dispatcher", time.time())

    def beat(_: object) -> None:
        client.hset(f"{keys.prefix}health", "dispatcher", time.time() + 1)

    with pytest.raises(Permanent, match="dispatcher still running"):
        Migrator(client, keys, MIGRATIONS, beat).stopped(quiet_s=5.0)
    assert client.exists(f"{keys.prefix}later")


def test_the_command(client: Client, keys: Keys, wildtag: Run) -> None:
    nothing = wildtag("migrate", "--json")
    assert json.loads(nothing.stdout) == {"from": None, "to": None, "dry_run": False, "steps": []}
    assert not client.exists(keys.layout_version)
    old_home.fill(client, keys.prefix, at=LONG_AGO)
    before = old_home.content(client, keys.prefix)
    planned = json.loads(wildtag("migrate", "--dry-run", "--json").stdout)
    assert (planned["from"], planned["to"], planned["dry_run"]) == (0, VERSION, True)
    assert old_home.content(client, keys.prefix) == before
    refused = wildtag("events", "counts")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "`wildtag migrate`" in refused.stderr
    done = wildtag("migrate")
    assert done.returncode == 0, done.stderr
    assert f"Migrated from layout version 0 to {VERSION}." in done.stderr
    assert json.loads(wildtag("events", "counts", "--json").stdout)["webhook:rejected"] == 3
    assert json.loads(wildtag("events", "rejected", "--json").stdout)["reason"] == "no JSON"
    assert f"layout version {VERSION}" in wildtag("migrate").stderr


def test_a_worker_that_waits_for_messages_is_noticed(
    client: Client, keys: Keys, wildtag: Run, environment: dict[str, str]
) -> None:
    """It gives no heartbeat while it has nothing to do."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workers.cli", "worker", "extraction"], env=environment, stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        while " ready" not in (line := process.stderr.readline()):
            assert line, "it has ended"
        client.delete(keys.layout_version)
        old_home.fill(client, keys.prefix, at=LONG_AGO)
        done = wildtag("migrate")
        assert done.returncode == 1
        assert "workers still running: extraction@" in done.stderr
        assert client.exists(f"{keys.prefix}later")
    finally:
        process.terminate()
        process.communicate(timeout=90)


def test_each_step_runs_in_all_partitions_and_another_number_of_them_is_refused(client: Client) -> None:
    """Otherwise the version would be that of the prefix alone."""
    partitions = Partitions(Keys("{test}:"), 3)
    Layout(client, partitions.base, 3).require()
    for keys in (partitions.base, *partitions.all):
        client.set(f"{keys.prefix}old", "x")
    migrations = [*MIGRATIONS, Migration(VERSION + 1, (Rename("old", "new"),))]
    with pytest.raises(OtherLayout, match="WILDTAG_PARTITIONS=3, and it is 1 now"):
        Migrator(client, partitions.base, migrations).run()
    parts = [(client, keys) for keys in partitions.all]
    migrator = Migrator(client, partitions.base, migrations, parts=parts)
    assert [step.changed for step in migrator.plan().steps] == [4]
    assert [step.changed for step in migrator.run().steps] == [4]
    assert all(client.exists(f"{keys.prefix}new") for keys in (partitions.base, *partitions.all))
    assert client.get(partitions.base.layout_version) == str(VERSION + 1).encode()
