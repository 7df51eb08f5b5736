"""A full inbox: every source keeps its events until there is room, and none is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.events.listen_lines import line
from tests.contract.events.test_listener import Scripted
from tests.contract.gateway.running import Running, problem, running, wired
from tests.eventually import eventually
from tests.unit.events.samples import BUCKET, access, body, record
from workers.events.listener import Listener
from workers.events.redis_target import AccessList
from workers.events.sink import EventSink
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.inbox_room import LOOK_EVERY_S, InboxFull, InboxRoom
from workers.redis.connection import Client
from workers.redis.keys import Keys

MOST = 5


@pytest.fixture
def inbox(client: Client, keys: Keys) -> Inbox:
    made = Inbox(client, keys.inbox)
    made.prepare()
    made.append([ObjectEvent("created", BUCKET, str(number)) for number in range(MOST)])
    return made


@pytest.fixture
def event_sink(client: Client, keys: Keys, inbox: Inbox) -> EventSink:
    return EventSink(client, keys, None, InboxRoom(inbox.length, MOST).require)


def taken(inbox: Inbox) -> list[str]:
    """The keys of all events, which leave the inbox."""
    read = inbox.read("me", 100, None)
    inbox.done([entry for entry, _ in read])
    return [event.key for _, event in read]


def test_a_list_of_minio_stays_in_its_redis(client: Client, event_sink: EventSink, inbox: Inbox) -> None:
    listing = AccessList(client, "minio", BUCKET, event_sink)
    client.rpush("minio", access(record(key="late")))
    with pytest.raises(InboxFull, match=r"5 events are waiting; the limit is 5 \(WILDTAG_INBOX_MAX\)"):
        listing.step()
    assert client.llen("minio") == 1
    assert len(taken(inbox)) == MOST
    eventually(lambda: listing.step() == 1, 10, every_s=LOOK_EVERY_S, despite=(InboxFull,))
    assert taken(inbox) == ["late"]


def test_what_carries_no_event_is_stored_all_the_same(event_sink: EventSink) -> None:
    event_sink.store([])
    assert event_sink.counts() == {}


def test_the_gateway_has_the_sender_repeat_its_event_and_refuses_uploads(
    redis_url: str, client: Client, tmp_path: Path
) -> None:
    assert client.dbsize() == 0
    wiring = wired(tmp_path, redis_url)
    wiring.settings = wiring.settings.model_copy(update={"inbox_max": MOST})
    bucket = wiring.settings.bucket
    wiring.inbox.append([ObjectEvent("created", bucket, str(number)) for number in range(MOST)])
    notification = body(record(key="late", bucket=bucket))

    def posted(gateway: Running) -> int:
        answer = gateway.http.post("/v1/events/minio", content=notification)
        if answer.status_code == 503:
            assert problem(answer) == "unavailable"
            assert "limit" in answer.json()["detail"]
            assert int(answer.headers["Retry-After"]) > 0
        return answer.status_code

    with running(wiring, backlog_max=MOST) as gateway:
        assert posted(gateway) == 503
        answer = gateway.http.post("/v1/images", content=b"\x89PNG\r\n")
        assert (answer.status_code, problem(answer), answer.headers["Retry-After"]) == (503, "busy", "10")
        assert wiring.inbox.length() == MOST
        inbox = Inbox(wiring.redis, wiring.keys.inbox)
        inbox.prepare()
        taken(inbox)
        eventually(lambda: posted(gateway) == 200, 10, every_s=LOOK_EVERY_S)
        assert taken(inbox) == ["late"]


def test_a_listener_has_the_bucket_compared_for_what_it_could_not_store(event_sink: EventSink, inbox: Inbox) -> None:
    looked = threading.Semaphore(0)

    def heard() -> Iterator[bytes]:
        assert looked.acquire(timeout=20), "the first connection"
        yield line("late.jpg")

    def compared() -> Iterator[bytes]:
        assert looked.acquire(timeout=20), "the event could not be stored"
        yield b" "

    def catch_up(*, connected: bool) -> bool:
        assert connected
        looked.release()
        return True

    server = Scripted([heard, compared])
    Listener(server, BUCKET, event_sink, catch_up, first_pause=0.001).follow(server.stop)
    assert "late.jpg" not in taken(inbox)
    assert event_sink.counts() == {}, "an event that was not stored is not counted"
