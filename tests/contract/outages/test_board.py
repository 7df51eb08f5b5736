"""The board of outages tells of all processes, and what was away is reached again soon."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from tests.contract.outages.soon import SOON_S
from tests.contract.qdrant_wire import grpc_wire
from tests.contract.tcp_proxy import TcpProxy
from tests.eventually import eventually
from vectordb.errors import Transient
from vectordb.server_client import ServerAway, ask, connect
from workers.outages.board import FRESH_S, Outage, OutageBoard
from workers.outages.outage_report import OutageReport
from workers.outages.tracker import OutageTracker
from workers.processes.loops import Step
from workers.redis.connection import Client, StoreUnavailable
from workers.redis.connection import connect as connect_redis
from workers.redis.keys import Keys


def test_the_board_tells_of_all_processes_and_of_none_that_was_killed(client: Client, keys: Keys) -> None:
    now = [1000.0]
    one, two = (OutageBoard(client, keys, name, lambda: now[0]) for name in ("host-1", "host-2"))
    one.write([
        Outage(name="captions", reason="refused", since=990.0), Outage(name="listener", reason="deaf", since=1.0),
    ])  # fmt: skip
    now[0] += 1
    two.write([Outage(name="captions", reason="no answer", since=995.0, waiting=3)])
    (captions, listener) = one.read()
    assert (captions.since, captions.reason, captions.waiting) == (990.0, "no answer", 3)
    assert listener.name == "listener"
    one.write([])
    (captions,) = two.read()
    assert captions.since == 995.0
    now[0] += FRESH_S + 1
    assert one.read() == []
    assert 0 < client.ttl(keys.outages) <= FRESH_S * 3


def test_what_waits_is_counted_and_redis_itself_is_told_of(client: Client, keys: Keys) -> None:
    board = OutageBoard(client, keys, "host-1", time.time)
    board.write([Outage(name="store", reason="no answer", since=time.time())])
    outages = OutageReport(board, OutageTracker(), lambda: {"inbox": 2, "segments": 1, "in_flight": 3, "done": 9})
    (store,) = outages.active()
    assert store.waiting == 6
    nowhere = connect_redis("unix:///nowhere/redis.sock", patience_s=1, tries=1)
    away = OutageReport(OutageBoard(nowhere, keys, "host-2", time.time), OutageTracker(), dict)
    (redis,) = away.active()
    assert redis.name == "redis"


def test_a_partition_that_is_away_is_told_of_by_its_name(client: Client, keys: Keys) -> None:
    def counts() -> dict[str, int]:
        raise StoreUnavailable("killed", "redis/2")

    board = OutageBoard(client, keys, "host-1", time.time)
    board.write([Outage(name="store", reason="no answer", since=time.time())])
    partition, store = OutageReport(board, OutageTracker(), counts).active()
    assert (partition.name, partition.reason, store.name) == ("redis/2", "killed", "store")


def test_a_fault_of_no_service_is_tried_again_within_a_second() -> None:
    tries: list[float] = []

    def call() -> None:
        tries.append(time.monotonic())
        if len(tries) < 8:
            raise Transient("somebody else is at it")

    turn = Step(call, OutageTracker())
    eventually(turn, 10)
    assert max(b - a for a, b in pairwise(tries)) < 1.5


@pytest.mark.long
def test_a_qdrant_server_that_was_away_for_long_is_reached_again_at_once_by_grpc() -> None:
    def answer(_: str, request: object, context: object) -> object:  # noqa: ARG001 -- the library's
        from qdrant_client.grpc import ListAliasesResponse  # noqa: PLC0415

        return ListAliasesResponse()

    with grpc_wire(answer) as port:
        proxy = TcpProxy("127.0.0.1", port)
        client = connect("http://127.0.0.1:6333", grpc=True, grpc_port=proxy.port, timeout_s=2)
        ask(client.get_aliases)
        proxy.become("refusing")
        away = time.monotonic() + 10  # gRPC's pauses would be several seconds long by then
        while time.monotonic() < away:
            with pytest.raises(ServerAway):
                ask(client.get_aliases)
        proxy.become("open")
        eventually(lambda: (ask(client.get_aliases), True), SOON_S, despite=(ServerAway,))
        proxy.close()
