"""The version of the Redis layout: recorded once, refused where it differs, and brought up by ``wildtag migrate``."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.contract.own_redis import OwnRedis
from tests.contract.redis.layout_processes import Run
from tests.contract.redis.layout_processes import environment as environment  # noqa: PLC0414 -- a fixture
from tests.contract.redis.layout_processes import wildtag as wildtag  # noqa: PLC0414 -- a fixture
from tests.eventually import eventually_while
from workers.embedded.ports import free_port
from workers.lifecycle.migrations import MIGRATIONS
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.redis.layout import FAMILIES, FIXED, VERSION, Layout, OtherLayout
from workers.redis.maintenance_lock import LOCK
from workers.redis.migration import Migrator


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


@pytest.mark.parametrize(("stored", "set_to"), [(1, 3), (3, 1), (3, 4)])
def test_another_number_of_partitions_is_refused_in_one_line(
    client: Client, keys: Keys, stored: int, set_to: int
) -> None:
    """Otherwise most objects would be looked for where they are not, and tagged again."""
    Layout(client, keys, stored).require()
    Layout(client, keys, stored).require()
    with pytest.raises(OtherLayout, match=rf"PARTITIONS={stored}, and it is {set_to} now: set it to {stored}"):
        Layout(client, keys, set_to).require()
    assert client.get(keys.partitions) == str(stored).encode()


def test_keys_of_before_partitions_were_counted_are_in_one(client: Client, keys: Keys) -> None:
    client.set(keys.layout_version, VERSION)
    Layout(client, keys).require()
    with pytest.raises(OtherLayout, match="WILDTAG_PARTITIONS=1, and it is 3 now"):
        Layout(client, keys, 3).require()
    assert not client.exists(keys.partitions)


def test_of_two_numbers_at_the_first_start_one_wins(client: Client, keys: Keys) -> None:
    def start(number: int) -> int:
        try:
            Layout(client, keys, number).require()
        except OtherLayout:
            return 0
        return number

    with ThreadPoolExecutor(8) as pool:
        for round_ in range(30):
            client.flushall()
            started = set(pool.map(start, (1, 3) * 4)) - {0}
            assert started == {int(client.get(keys.partitions) or 0)}, round_


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
    reason = (
        f"the Redis keys under {keys.prefix!r} have layout version {VERSION + 1}, and this wildtag knows {VERSION} at"
        " most: a newer wildtag wrote this, use that one"
    )
    (line,) = [line for line in done.stderr.splitlines() if reason in line]
    if arguments in COMMANDS:
        assert line == f"wildtag: {reason}"
    else:  # a line of its log
        assert 'event="process ends"' in line
    assert client.keys() == [keys.layout_version.encode()]


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
