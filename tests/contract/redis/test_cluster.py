"""A real Redis Cluster of three nodes: the keys are followed to the node that has them, and nothing is half done."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.contract.own_cluster import PREFIX, OwnCluster
from tests.contract.redis.cluster_objects import REVISION, record, ref, tagged
from tests.eventually import eventually
from vectordb.errors import Permanent
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record_reader import Records
from workers.redis.connection import (
    Client,
    IsACluster,
    NoHashTag,
    StoreUnavailable,
    connect,
    connect_async,
    translated,
)
from workers.redis.keys import Keys
from workers.redis.layout import Layout
from workers.redis.rpc import RpcClient, answering
from workers.redis.slot_client import STRIP
from workers.redis.slot_owner import NotACluster
from workers.redis.streams import create_group, read_again, read_group
from workers.settings.settings import Settings
from workers.wiring.events import redis_target
from workers.wiring.wiring import Wiring


@pytest.fixture
def keys() -> Keys:
    return Keys(PREFIX)


@pytest.fixture
def client(cluster: OwnCluster) -> Client:
    """A client to a cluster without keys."""
    cluster.flush()
    return connect(cluster.url, PREFIX)


@pytest.fixture
def ledger(client: Client, keys: Keys) -> Ledger:
    return Ledger(client, keys, feed_length=100)


@pytest.fixture
def records(client: Client, keys: Keys) -> Records:
    return Records(client, keys)


def moved(cluster: OwnCluster) -> None:
    """Move the slot to another node, whole."""
    for _ in cluster.move(cluster.another(), at_once=100):
        pass


def begun(cluster: OwnCluster) -> Iterator[int]:
    """Begin to move the slot: each further step moves one key."""
    steps = cluster.move(cluster.another(), at_once=1)
    next(steps)
    return steps


def all_keys(cluster: OwnCluster) -> dict[bytes, bytes]:
    """Everything on all nodes."""
    found = {}
    for node in cluster.primaries:
        for key in node.client.scan_iter():
            found[key] = node.client.dump(key)
    return found


def test_keys_are_followed_to_another_node(cluster: OwnCluster, ledger: Ledger, records: Records) -> None:
    assert tagged(ledger, 1)
    before = ledger.server_run()
    moved(cluster)
    assert [one is not None for one in records.get(["inbox/1.jpg"])] == [True]
    assert tagged(ledger, 2)
    assert ledger.server_run() != before
    assert records.tag_index.common() == [("cat", 2)]


def test_an_event_loop_follows_too(cluster: OwnCluster, client: Client) -> None:
    async def write(count: int) -> None:
        pipe = loop_client.pipeline(transaction=False)
        for n in range(count):
            pipe.execute_command("RPUSH", f"{PREFIX}list", n)
        await pipe.execute()

    async def all_of_it() -> None:
        await write(3)
        await asyncio.to_thread(moved, cluster)
        await write(3)
        steps = await asyncio.to_thread(begun, cluster)
        await write(3)
        await asyncio.to_thread(next, steps)
        await write(3)
        await loop_client.set(f"{PREFIX}new", 1)
        await asyncio.to_thread(list, steps)
        await loop_client.aclose()

    loop_client: Any = connect_async(cluster.url, PREFIX)
    asyncio.run(all_of_it())
    assert client.llen(f"{PREFIX}list") == 12
    assert client.get(f"{PREFIX}new") == b"1"


def test_single_commands_work_while_the_slot_is_moved(cluster: OwnCluster, client: Client, keys: Keys) -> None:
    client.mset({f"{PREFIX}{n}": n for n in range(20)})
    create_group(client, keys.inbox, "group")
    client.xadd(keys.inbox, {"event": b"1"})
    assert len(read_group(client, keys.inbox, "group", "me", 10, None)) == 1
    steps = begun(cluster)
    client.set(f"{PREFIX}new", 1)  # on the other node already
    assert client.get(f"{PREFIX}new") == b"1"
    for _ in steps:
        client.xadd(keys.inbox, {"event": b"2"})
        assert len(read_group(client, keys.inbox, "group", "me", 10, 1)) == 1
        pipe = client.pipeline(transaction=False)
        pipe.get(f"{PREFIX}new")
        pipe.xlen(keys.inbox)
        assert pipe.execute()[0] == b"1"
    assert len(read_again(client, keys.inbox, "group", "me", 100)) == client.xlen(keys.inbox) > 2


def test_a_script_is_refused_as_a_whole_while_the_slot_is_moved(cluster: OwnCluster, client: Client) -> None:
    client.set(f"{PREFIX}a", 1)
    script = client.register_script(f"redis.call('INCR', KEYS[1]) redis.call('SET', '{PREFIX}b', 1) return #KEYS")
    plain = str(script.script).removeprefix(STRIP)
    steps = begun(cluster)
    with pytest.raises(redis.ResponseError, match="non local key"):  # what the additional key prevents
        cluster.owner().client.eval(plain, 1, f"{PREFIX}a")
    assert client.get(f"{PREFIX}a") == b"2"
    for _ in steps:
        with pytest.raises(StoreUnavailable, match="moves keys"), translated():
            script(keys=[f"{PREFIX}a"])
        pipe = client.pipeline(transaction=False)
        pipe.eval(plain, 1, f"{PREFIX}a")
        with pytest.raises(StoreUnavailable, match="moves keys"), translated():
            pipe.execute()
    assert client.get(f"{PREFIX}a") == b"2"
    assert script(keys=[f"{PREFIX}a"]) == 1


def test_the_ledger_changes_nothing_while_the_slot_is_moved(
    cluster: OwnCluster, ledger: Ledger, records: Records
) -> None:
    assert tagged(ledger, 1)
    ledger.enter([Arrival(ref(2)), Arrival(ref(3))], REVISION, 1.0, 60.0)
    before = all_keys(cluster)
    for _ in begun(cluster):
        for change in (
            lambda: ledger.finish([record(ref(2), "dog")], 3.0), lambda: ledger.remove(["inbox/1.jpg"]),
            lambda: ledger.enter([Arrival(ref(4))], REVISION, 3.0, 60.0), lambda: ledger.overdue(100.0, 200.0),
        ):  # fmt: skip
            with pytest.raises(StoreUnavailable):
                change()
    assert all_keys(cluster) == before
    assert ledger.finish([record(ref(2), "dog")], 3.0) == [True]
    assert ledger.remove(["inbox/1.jpg"]) == [True]
    assert records.tag_index.common() == [("dog", 1)]


def test_a_transaction_is_refused_as_a_whole_while_the_slot_is_moved(cluster: OwnCluster, client: Client) -> None:
    client.set(f"{PREFIX}a", 1)
    for _ in begun(cluster):
        pipe = client.pipeline()
        pipe.incr(f"{PREFIX}a")
        pipe.incr(f"{PREFIX}b")
        with pytest.raises(StoreUnavailable, match="moves keys"), translated():
            pipe.execute()
    assert client.mget(f"{PREFIX}a", f"{PREFIX}b") == [b"1", None]


def test_a_watched_key_that_is_moved_is_watched_again(cluster: OwnCluster, client: Client) -> None:
    client.set(f"{PREFIX}a", 1)
    tries: list[int] = []

    def work(pipe: Any) -> None:
        found = int(pipe.get(f"{PREFIX}a"))
        if not tries:
            moved(cluster)
            connect(cluster.url, PREFIX).incr(f"{PREFIX}a")
        tries.append(found)
        pipe.multi()
        pipe.set(f"{PREFIX}a", found + 10)

    client.transaction(work, f"{PREFIX}a")
    assert tries == [1, 2]
    assert client.get(f"{PREFIX}a") == b"12"


def test_a_scan_does_not_leave_out_what_was_moved(cluster: OwnCluster, client: Client) -> None:
    client.zadd(f"{PREFIX}set", {str(n): n for n in range(2000)})
    found = client.zscan_iter(f"{PREFIX}set", count=10)
    next(found)
    moved(cluster)
    with pytest.raises(StoreUnavailable, match="while they were read"), translated():
        list(found)
    assert len(dict(client.zscan_iter(f"{PREFIX}set"))) == 2000
    cursor, _ = client.zscan(f"{PREFIX}set", count=10)
    moved(cluster)
    with pytest.raises(StoreUnavailable, match="while they were read"), translated():
        client.zscan(f"{PREFIX}set", cursor, count=10)
    client.mset({f"{PREFIX}{n}": n for n in range(100)})
    keys = client.scan_iter(count=10)
    next(keys)
    moved(cluster)
    with pytest.raises(StoreUnavailable, match="while they were read"), translated():
        list(keys)
    assert len(set(client.scan_iter(count=10))) == 101
    client.delete(*(f"{PREFIX}{n}" for n in range(100)))
    for _ in begun(cluster):
        with pytest.raises(StoreUnavailable), translated():
            list(client.scan_iter())
    assert list(client.scan_iter()) == [f"{PREFIX}set".encode()]


def test_a_blocking_read_goes_on_at_the_other_node(cluster: OwnCluster, client: Client, keys: Keys) -> None:
    rpc = RpcClient(None, client, keys)  # type: ignore[arg-type]  # nothing is sent
    answers: list[bytes | None] = []
    waiting = threading.Thread(target=lambda: answers.append(rpc.take("one", 20.0)))
    waiting.start()
    eventually(lambda: cluster.owner().client.info("clients")["blocked_clients"])
    moved(cluster)
    answering(connect(cluster.url, PREFIX), keys, "one", lambda: b"done")
    waiting.join(20)
    assert answers == [b"done"]


def test_objects_that_flow_while_the_slot_is_moved_are_recorded_once(
    cluster: OwnCluster, keys: Keys, records: Records
) -> None:
    numbers, stop = iter(range(100_000)), threading.Event()
    written: dict[int, int] = {}

    def flow() -> None:
        ledger = Ledger(connect(cluster.url, PREFIX), keys, feed_length=100_000)
        while not stop.is_set():
            number = next(numbers)
            for step in (
                lambda n=number: ledger.enter([Arrival(ref(n))], REVISION, 1.0, 60.0),
                lambda n=number: ledger.finish([record(ref(n), f"label{n % 7}")], 2.0),
            ):
                eventually(lambda: [step()], despite=(StoreUnavailable,))  # noqa: B023 -- called at once
            written[number] = written.get(number, 0) + 1

    flowing = threading.Thread(target=flow)
    flowing.start()
    for count in (20, 40, 60):
        eventually(lambda c=count: len(written) > c)  # type: ignore[misc]
        moved(cluster)
    eventually(lambda: len(written) > 80)
    stop.set()
    flowing.join(60)
    assert sorted(record.key for record in records.latest()) == sorted(f"{n}.jpg" for n in written)
    assert records.counts()["done"] == len(written)
    assert sum(count for _, count in records.tag_index.common()) == len(written)
    assert sorted(item.oid for item in records.feed("0", block_ms=1, count=100_000)) == sorted(
        f"inbox/{n}.jpg" for n in written
    )


def test_addresses_that_do_not_fit_are_said_in_one_line(cluster: OwnCluster, tmp_path: Path) -> None:
    with pytest.raises(NoHashTag, match="WILDTAG_KEY_PREFIX"):
        connect(cluster.url, "wildtag:")
    plain = Layout(redis.Redis(port=cluster.another().port), Keys(PREFIX))
    with pytest.raises(IsACluster, match=r"redis\+cluster://"):
        plain.require()
    spread = Layout(redis.Redis(port=cluster.another().port), Keys("wildtag:"))
    with pytest.raises(IsACluster, match=r"redis\+cluster://"):
        spread.empty()
    settings = Settings(home=tmp_path, redis_url=cluster.url, key_prefix=PREFIX, broker_url="redis://127.0.0.1:1")
    with pytest.raises(Permanent, match="WILDTAG_REDIS_TARGET_URL"):
        redis_target(Wiring(settings))


def test_a_server_that_is_no_cluster_is_said_in_one_line() -> None:
    node = OwnCluster()
    try:
        alone = node.primaries[0]
        alone.start("--cluster-enabled", "no")
        with pytest.raises(NotACluster, match="redis://"):
            connect(f"redis+cluster://127.0.0.1:{alone.port}", PREFIX).ping()
    finally:
        node.close()
