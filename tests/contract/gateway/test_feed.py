"""The feed of finished objects: it goes on where a listener was, says what is forgotten, and waits for nobody."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contract.gateway.running import Event, Running, events, problem, received, running, wired
from tests.eventually import eventually
from workers.gateway.broadcaster import BEHIND
from workers.lifecycle.record import Evidence
from workers.lifecycle.record_reader import FeedItem, Records
from workers.redis.connection import Client
from workers.redis.keys import Keys


@contextmanager
def listening(gateway: Running, last: str | None = None) -> Iterator[Iterator[Event]]:
    """The events of the feed, from now or from after an entry."""
    headers = {} if last is None else {"Last-Event-ID": last}
    with gateway.http.stream("GET", "/v1/feed", headers=headers) as answer:
        assert answer.status_code == 200
        yield events(answer)


def test_objects_are_told_as_they_finish(gateway: Running) -> None:
    gateway.tagged("before.png", "cat")
    with listening(gateway) as coming:
        done = gateway.tagged("a b.png", "cat")
        gateway.tagged("é.png", error="unreadable")
        gateway.wiring.ledger.remove([done.id])
        received = [next(coming) for _ in range(3)]
    assert [event.name for event in received] == ["done", "failed", "removed"]
    assert [event.data["key"] for event in received] == ["a b.png", "é.png", "a b.png"]
    assert received[0].data["tags"][0]["label"] == "cat"
    assert received[2].data == {"bucket": "inbox", "key": "a b.png", "state": "removed", "etag": done.etag}
    assert all(event.id for event in received)


class SlowRecords(Records):
    """A Redis that takes its time to say where the feed ends."""

    def feed_end(self) -> str:
        time.sleep(0.2)  # what is published in this time must not be lost
        end = super().feed_end()
        time.sleep(0.2)  # as above
        return end


def test_nothing_is_missed_once_the_answer_has_begun(
    redis_url: str, client: Client, keys: Keys, tmp_path: Path
) -> None:
    """The position is taken before the headers are sent, however long that takes."""
    with running(wired(tmp_path, redis_url), replaced={"records": SlowRecords(client, keys)}) as gateway:
        for number in range(3):
            with listening(gateway) as coming:
                gateway.tagged(f"{number}.png")
                assert next(coming).data["key"] == f"{number}.png"


class TornRecords(Records):
    """A feed that cannot be read once when b.png is in it, as an entry of another version."""

    torn = threading.Event()

    def feed(self, after: str, block_ms: int, count: int = 100) -> list[FeedItem]:
        items = super().feed(after, min(block_ms, 100), count)
        if self.torn.is_set() and any("b.png" in str(item) for item in items):
            self.torn.clear()
            raise ValueError("an entry of another version")
        return items


def test_a_listener_is_cut_off_where_the_reader_skipped_something(
    redis_url: str, client: Client, keys: Keys, tmp_path: Path
) -> None:
    """It reconnects with its position and gets an event for what was skipped."""
    with running(wired(tmp_path, redis_url), replaced={"records": TornRecords(client, keys)}) as gateway:
        with listening(gateway) as coming:
            gateway.tagged("a.png")
            last = next(coming).id
            TornRecords.torn.set()
            gateway.tagged("b.png")
            assert list(coming) == []
        with listening(gateway, last) as coming:
            assert next(coming).data["key"] == "b.png"


def test_it_goes_on_behind_an_entry(gateway: Running) -> None:
    for number in range(250):  # more than is read at once
        gateway.tagged(f"{number}.png")
    first = gateway.wiring.records.feed_begin()
    with listening(gateway, first) as coming:
        behind = [next(coming).data["key"] for _ in range(249)]
        gateway.tagged("new.png")
        assert next(coming).data["key"] == "new.png"
    assert behind == [f"{number}.png" for number in range(1, 250)]
    with listening(gateway, "0-0") as coming:
        assert next(coming).data["key"] == "0.png"


def test_what_is_not_remembered_is_a_gap(gateway: Running, client: Client) -> None:
    for number in range(5):
        gateway.tagged(f"{number}.png")
    first = gateway.wiring.records.feed_begin()
    client.xtrim("test:feed", 2, approximate=False)
    with listening(gateway, first) as coming:
        received = [next(coming) for _ in range(3)]
    assert [event.name for event in received] == ["gap", "done", "done"]
    assert received[0].data == {"oldest": received[1].id}
    with listening(gateway, received[1].id) as coming:
        assert next(coming).data["key"] == "4.png"


def test_a_feed_that_was_emptied_is_a_gap(gateway: Running, client: Client) -> None:
    """Also for who comes with an id above all that it holds, as after a loss of Redis or a clock that went back."""
    gateway.tagged("a.png")
    with listening(gateway) as coming:
        gateway.tagged("b.png")
        last = next(coming).id
    client.delete("test:feed")
    with listening(gateway, last) as coming:
        assert next(coming).name == "gap"
    gateway.tagged("c.png")
    with listening(gateway, f"{2**63}-0") as coming:
        received = [next(coming) for _ in range(2)]
    assert [(one.name, one.data.get("key")) for one in received] == [("gap", None), ("done", "c.png")]


def test_a_reader_notices_that_the_feed_went_back(gateway: Running, client: Client) -> None:
    """Otherwise no client would get events until the clock has caught up."""
    with listening(gateway) as coming:
        client.xadd("test:feed", {"oid": "inbox/late.png", "body": ""}, id=f"{2**62}-0")
        assert next(coming).name == "removed"
        client.delete("test:feed")
        assert list(coming) == []  # cut off, to come again
    with listening(gateway) as coming:
        gateway.tagged("a.png")
        assert next(coming).data["key"] == "a.png"


@pytest.mark.parametrize("last", ["x", "", "1", "1-", "-1-1", f"{10**20 - 1}-0", f"0-{2**64}"])
def test_an_entry_of_somebody_else_is_refused(gateway: Running, last: str) -> None:
    with gateway.http.stream("GET", "/v1/feed", headers={"Last-Event-ID": last}) as answer:
        assert answer.status_code == 400
        answer.read()
        assert problem(answer) == "bad-request"


def test_a_reader_that_is_slow_is_cut_off_and_loses_nothing(redis_url: str, client: Client, tmp_path: Path) -> None:
    """What it did not read is dropped, and sent when it reconnects from its position."""
    client.flushall()
    large = (Evidence("x" * 15_000, 0.5),)
    with running(wired(tmp_path, redis_url)) as gateway:
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        slow.settimeout(20)
        slow.connect(("127.0.0.1", gateway.port))
        slow.sendall(b"GET /v1/feed HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        eventually(lambda: slow.recv(1, socket.MSG_PEEK))
        ref = gateway.put("a.png")
        wanted = BEHIND + 500
        for _ in range(wanted):
            gateway.enter(ref, force=True)
            gateway.finish(ref, evidence=large)
        body = b""
        while not body.endswith(b"\r\n0\r\n\r\n"):
            part = slow.recv(1_000_000)
            assert part, "it was not ended in order"
            body += part
        slow.close()
        ids = [line.removeprefix(b"id: ").decode() for line in body.splitlines() if line.startswith(b"id: ")]
        taken = body.count(b"event: done")
        assert taken < wanted  # none where it was cut off before the gateway began to write
        with listening(gateway, ids[-1]) as coming:
            for _ in range(wanted - taken):
                assert next(coming).name == "done"


def test_a_gateway_that_stops_does_not_wait_for_open_streams(redis_url: str, tmp_path: Path) -> None:
    with socket.socket() as page:
        page.settimeout(20)
        with running(wired(tmp_path, redis_url), server={"timeout_graceful_shutdown": 60}) as gateway:
            page.connect(("127.0.0.1", gateway.port))
            page.sendall(b"GET /v1/feed HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            begun = b""
            while b"id: " not in begun:
                begun += page.recv(65_536)
            # the end of this block fails if the gateway does not stop within ten seconds
        assert received(page).endswith(b"0\r\n\r\n"), "the answer was not ended in order"
