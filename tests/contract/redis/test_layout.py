"""The version of the Redis layout: recorded once, refused where it differs, and brought up by ``wildtag migrate``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.contract import old_home
from tests.contract.own_redis import OwnRedis
from tests.eventually import eventually_while
from vectordb.errors import Permanent
from workers.embedded.stack import free_port
from workers.lifecycle.migrations import MIGRATIONS
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.redis.layout import FAMILIES, FIXED, VERSION, Layout, OtherLayout
from workers.redis.migration import LOCK, Migration, Migrator
from workers.redis.migration_steps import Rename, RenameFamily, RenameFields
from workers.supervision.os_processes import MARK

LONG_AGO = 1_700_000_000.0
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path, redis_url: str, client: Client, keys: Keys) -> dict[str, str]:
    """Of processes that use the Redis of this test."""
    assert not client.dbsize()
    (tmp_path / "inbox").mkdir()
    return {
        **{name: value for name, value in os.environ.items() if name != MARK},
        "WILDTAG_HOME": str(tmp_path), "WILDTAG_REDIS_URL": redis_url,
        "WILDTAG_BROKER_URL": redis_url.replace("unix://", "redis+socket://"), "WILDTAG_KEY_PREFIX": keys.prefix,
        "WILDTAG_WRITE_BACK": "tags", "WILDTAG_NOTIFY_URL": "http://127.0.0.1:9/",
        "WILDTAG_NOTIFY_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    }  # fmt: skip


@pytest.fixture
def wildtag(environment: dict[str, str]) -> Run:
    """Runs a command to its end."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return warm.wildtag(*arguments, env=environment, timeout=60)

    return run


# -- the version


def test_the_first_process_records_the_version_and_the_others_read_it(client: Client, keys: Keys) -> None:
    """Started at the same time, each writes as soon as it may: none takes the keys of another for an old home's."""

    def start(number: int) -> None:
        Layout(client, keys).require()
        client.zadd(keys.records, {f"inbox/{number}": 0.0})

    with ThreadPoolExecutor(8) as pool:
        for round_ in range(30):
            client.flushall()
            list(pool.map(start, range(8)))
            assert client.get(keys.layout_version) == str(VERSION).encode(), round_


@pytest.mark.parametrize("name", [*FIXED, *(f"{family}x" for family in FAMILIES)])
def test_any_key_of_a_layout_without_a_version_is_version_0(client: Client, keys: Keys, name: str) -> None:
    client.set(f"{keys.prefix}{name}", "x")
    with pytest.raises(OtherLayout, match=r"version 0, .*`wildtag migrate`"):
        Layout(client, keys).require()
    assert not client.exists(keys.layout_version)


def test_other_keys_are_no_sign_of_an_old_home(client: Client, keys: Keys) -> None:
    """Those of other programs and prefixes, of Celery, and what may be written before the version is known."""
    for name in ("minio-events", "records", f"other:{keys.prefix}records", keys.probe, keys.cache("x"),
                 keys.lock(LOCK), keys.outages, f"{keys.prefix}embedding", f"{keys.prefix}unacked"):  # fmt: skip
        client.set(name, "x")
    Layout(client, keys).require()
    assert client.get(keys.layout_version) == str(VERSION).encode()


def test_a_prefix_with_characters_of_patterns(client: Client) -> None:
    client.set("a1:record:x", "x")
    Layout(client, Keys("a[1]:")).require()
    client.set("a*:record:x", "x")
    with pytest.raises(OtherLayout):
        Layout(client, Keys("a*:")).require()


@pytest.mark.parametrize("version", [str(VERSION + 1), "1000", "?"])
def test_a_newer_version_is_refused_and_left_as_it_is(client: Client, keys: Keys, version: str) -> None:
    client.set(keys.layout_version, version)
    migrator = Migrator(client, keys, MIGRATIONS)
    for call in (Layout(client, keys).require, migrator.run, migrator.plan):
        with pytest.raises(OtherLayout, match="a newer wildtag wrote this"):
            call()
    assert client.get(keys.layout_version) == version.encode()


def test_it_costs_one_round_trip(client: Client, keys: Keys) -> None:
    layout = Layout(client, keys)
    layout.require()
    before: Any = client.info("stats")
    layout.require()
    after: Any = client.info("stats")
    assert after["total_commands_processed"] - before["total_commands_processed"] == 2  # and INFO


PROCESSES = [
    ("dispatcher",), ("watcher",), ("reconcile", "--every", "60"), ("writer",), ("notifier",),
    ("gateway", "--port", "0"), ("worker", "embedding"), ("listen", "redis"),
]  # fmt: skip
COMMANDS = [
    ("results",), ("status",), ("events", "counts"), ("keys", "list"), ("retag", "--all"), ("webhooks", "dead"),
]  # fmt: skip


@pytest.mark.parametrize("arguments", [*PROCESSES, *COMMANDS], ids=" ".join)
def test_processes_and_commands_refuse_in_one_line(
    client: Client, keys: Keys, wildtag: Run, arguments: tuple[str, ...]
) -> None:
    client.set(keys.layout_version, VERSION + 1)
    arguments = tuple(str(free_port(0)) if one == "0" else one for one in arguments)
    done = wildtag(*arguments)
    assert done.returncode == 1, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("wildtag:")]
    (line,) = said
    assert line == (
        f"wildtag: the Redis keys under {keys.prefix!r} have layout version {VERSION + 1}, and this wildtag knows "
        f"{VERSION} at most: a newer wildtag wrote this, use that one"
    )
    assert client.keys() == [keys.layout_version.encode()]


# -- Redis is away when a process starts


@pytest.fixture
def own() -> Iterator[OwnRedis]:
    """A Redis that is not started yet."""
    made = OwnRedis()
    yield made
    made.close()


def started(environment: dict[str, str], own: OwnRedis, *arguments: str) -> subprocess.Popen[str]:
    """A process that finds its Redis away."""
    env = {**environment, "WILDTAG_REDIS_URL": own.url,
           "WILDTAG_BROKER_URL": own.url.replace("unix://", "redis+socket://")}  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "workers.cli", *arguments], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def status(url: str) -> int | None:
    """``None`` where nothing listens."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        return exc.code
    except OSError:
        return None


@pytest.mark.parametrize("name", ["dispatcher", "worker"])
def test_a_process_waits_for_redis(environment: dict[str, str], own: OwnRedis, keys: Keys, name: str) -> None:
    process = started(environment, own, *(("worker", "embedding") if name == "worker" else (name,)))
    try:
        assert process.stderr is not None
        while "unavailable" not in (line := process.stderr.readline()):
            assert line, "it has ended"
        client = own.start()
        eventually_while(process, lambda: client.get(keys.layout_version) == str(VERSION).encode(), 40)
        pattern = f"{keys.prefix}_kombu*" if name == "worker" else keys.heartbeats
        eventually_while(process, lambda: client.keys(pattern), 40)  # and it begins its work
    finally:
        process.terminate()
        process.communicate(timeout=90)


def test_a_gateway_listens_while_redis_is_away_and_begins_when_it_is_back(
    environment: dict[str, str], own: OwnRedis, keys: Keys
) -> None:
    port = free_port(0)
    process = started(environment, own, "gateway", "--port", str(port))
    address = f"http://127.0.0.1:{port}"
    try:
        eventually_while(process, lambda: status(f"{address}/healthz") == 200, 40)
        assert status(f"{address}/readyz") == status(f"{address}/v1/status") == 503
        client = own.start()
        eventually_while(process, lambda: status(f"{address}/readyz") == 200, 40)
        assert client.get(keys.layout_version) == str(VERSION).encode()
        assert status(f"{address}/v1/status") == 200
    finally:
        process.terminate()
        process.communicate(timeout=90)


def test_a_gateway_ends_when_redis_comes_back_with_another_layout(
    environment: dict[str, str], own: OwnRedis, keys: Keys
) -> None:
    port = free_port(0)
    own.start().set(f"{keys.prefix}records", "of an old home")
    own.kill()
    process = started(environment, own, "gateway", "--port", str(port))
    try:
        eventually_while(process, lambda: status(f"http://127.0.0.1:{port}/readyz") == 503, 40)
        client = own.start()
        _, said = process.communicate(timeout=90)
        assert process.returncode == 1, said
        assert "layout version 0" in said.splitlines()[-1]
        assert client.keys() == [f"{keys.prefix}records".encode()]
    finally:
        process.kill()


# -- migrating


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
    records = 1
    assert sum(one.changed for one in outcome.steps) == len(old_home.RENAMED) + len(old_home.OIDS) + 7 + records
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
    assert "another migration has the lock" in done.stderr
    body = json.loads(done.stdout)
    assert (body["from"], body["to"], body["dry_run"]) == (0, VERSION, False)
    assert {"version": 1, "step": "wish:* -> segmentation-request:*", "changed": left} in body["steps"]
    old_home.verify(client, keys.prefix, before)


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
