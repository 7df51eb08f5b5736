"""The listen API as servers have it: with pings, with blanks, deaf, behind a proxy that buffers, or not at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs

from ops.bench.made_up_minio import Server, made_up_minio
from tests.contract.s3_server import Answer, made_up, refusal, store_at
from tests.eventually import eventually
from workers.events.listen_api import Deaf, Dropped, Refused, connecting
from workers.events.listener import Listener, ListenerStatus, lines
from workers.events.sink import EventSink
from workers.events.sources import Sources
from workers.lifecycle.inbox import Inbox
from workers.redis.connection import Client, StoreUnavailable
from workers.redis.keys import Keys

BUCKET = "photos"
HEADER_S, SILENCE_S = 1.6, 1.6  # for 15 and 30 seconds


@pytest.fixture
def server() -> Iterator[Server]:
    with made_up_minio("http://127.0.0.1:9", BUCKET) as made:
        yield made


def connect(url: str, ping_s: int = 1):  # type: ignore[no-untyped-def]
    client = store_at(url).connection.once(HEADER_S)
    return connecting(client, BUCKET, silence_s=SILENCE_S, ping_s=ping_s)


@contextmanager
def listening(
    url: str, client: Client, keys: Keys, *, refused_pause: float = 60.0
) -> Iterator[tuple[Sources, Inbox, list[bool]]]:
    """A listener at work; the list has an item for each look through the bucket."""
    stop, looks = threading.Event(), list[bool]()
    sources, event_sink, inbox = Sources(client, keys, time.time), EventSink(client, keys), Inbox(client, keys.inbox)
    inbox.prepare()

    def catch_up(*, connected: bool) -> bool:
        looks.append(connected)
        return True

    listener = Listener(
        connect(url), BUCKET, event_sink, catch_up, first_pause=0.05, refused_pause=refused_pause,
        report=lambda state, reason: sources.note("listen", state, reason),
    )  # fmt: skip
    thread = threading.Thread(target=listener.follow, args=(stop,))
    thread.start()
    try:
        yield sources, inbox, looks
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def state(sources: Sources) -> str | None:
    condition = sources.conditions().get("listen")
    return condition.state if condition else None


@pytest.mark.parametrize("kind", ["pings", "blanks"])
def test_a_quiet_server_is_heard_and_an_event_comes_at_once(
    server: Server, client: Client, keys: Keys, kind: str
) -> None:
    server.listening = kind  # type: ignore[assignment]  # one of them
    with listening(server.url, client, keys) as (sources, inbox, looks):
        eventually(lambda: state(sources) == "working")
        time.sleep(2 * SILENCE_S)  # longer than any silence may be
        began = time.monotonic()
        server.happened("ObjectCreated:Put", "été/a+b.png", "e", 5)
        eventually(lambda: inbox.length() == 1, 2)
        assert time.monotonic() - began < 1
        assert state(sources) == "working"
        assert len(looks) == 1
    assert server.listeners == 1
    assert server.pings == ["1"]
    ((_, event),) = inbox.read("me", 10, 1)
    assert event.key == "été/a+b.png"


@pytest.mark.parametrize("kind", ["deaf", "buffered"])
def test_a_server_that_is_never_heard_is_deaf_and_said_to_be(
    server: Server, client: Client, keys: Keys, kind: str
) -> None:
    server.listening = kind  # type: ignore[assignment]  # one of them
    with listening(server.url, client, keys) as (sources, inbox, looks):
        eventually(lambda: state(sources) == "deaf")
        since = sources.conditions()["listen"].since
        eventually(lambda: server.listeners >= 3)
        assert sources.conditions()["listen"].since == since
        assert EventSink(client, keys).counts()["listen:deaf"] >= 2
        assert len(looks) == 1  # of what was there before; not one for each vain try
        server.happened("ObjectCreated:Put", "unheard.png", "e", 5)
        server.listening = "pings"
        eventually(lambda: state(sources) == "working")
        eventually(lambda: len(looks) == 2)  # finds what was not heard
        server.happened("ObjectCreated:Put", "heard.png", "e", 5)
        eventually(lambda: inbox.length() >= 1)


def test_a_server_that_goes_deaf_is_found_out(server: Server, client: Client, keys: Keys) -> None:
    with listening(server.url, client, keys) as (sources, _, looks):
        eventually(lambda: state(sources) == "working")
        server.listening = "deaf"
        eventually(lambda: state(sources) == "deaf")
        server.listening = "blanks"
        eventually(lambda: state(sources) == "working")
        eventually(lambda: len(looks) == 2)


def test_a_connection_that_ends_is_made_again_and_caught_up_with(server: Server, client: Client, keys: Keys) -> None:
    server.listening = "blanks"
    with listening(server.url, client, keys) as (sources, _, looks):
        for connection in range(1, 4):
            eventually(lambda connection=connection: server.listeners == connection and state(sources) == "working")  # type: ignore[misc]  # bound now
            eventually(lambda connection=connection: len(looks) == connection)  # type: ignore[misc]  # as above
            server.hang_up()


def test_what_could_not_be_reported_is_reported_as_soon_as_redis_is_back() -> None:
    reported: list[str] = []
    away = True

    def report(state: str, _: str) -> None:
        if away:
            raise StoreUnavailable("away")
        reported.append(state)

    status = ListenerStatus("bucket", report)
    status.set_state("working")
    away = False
    status.renew()
    status.renew()  # not due yet
    assert reported == ["working"]


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405, 501])
def test_a_server_without_a_listen_api_is_told_of_once_and_asked_seldom(
    server: Server, client: Client, keys: Keys, status: int
) -> None:
    server.refuses = status
    with capture_logs() as logs, listening(server.url, client, keys, refused_pause=0.1) as (sources, _, looks):
        eventually(lambda: server.listeners >= 4)
        condition = sources.conditions()["listen"]
        assert condition.state == "refused"
        assert condition.reason
        assert len(looks) == 1
        server.refuses, server.listening = 0, "blanks"
        eventually(lambda: state(sources) == "working")
    assert [log["event"] for log in logs if log["log_level"] == "warning"] == [
        "not listening, other sources report events"
    ]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_what_passes_is_no_refusal(server: Server, status: int) -> None:
    server.refuses = status
    with pytest.raises(Dropped), connect(server.url)():
        pass


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"<ListBucketResult><Name>photos</Name></ListBucketResult>", "application/xml"),
     (b"<!doctype html><p>hello</p>", "text/html"), (b"welcome", "text/plain"), (b"\n\n [1]", "application/json")],
)  # fmt: skip
@pytest.mark.parametrize("announced", [True, False])
def test_a_server_that_answers_with_something_else(body: bytes, content_type: str, announced: bool) -> None:
    """Amazon, Ceph and others take the request for a listing of the bucket; a proxy shows a page."""

    def answer(method: str, path: str) -> Answer:  # noqa: ARG001 -- whatever is asked
        return Answer(body=body, headers={"Content-Type": content_type}, promised=-1 if announced else None)

    with made_up(answer) as made, pytest.raises(Refused, match=content_type), connect(made.url)() as chunks:
        list(lines(chunks))


def test_amazon_is_not_asked() -> None:
    with pytest.raises(Refused, match="Amazon"), connect("https://s3.eu-west-1.amazonaws.com")():
        pass


def test_refusals_of_s3_keep_their_reason() -> None:
    def answer(method: str, path: str) -> Answer:  # noqa: ARG001 -- whatever is asked
        return Answer(403, refusal("AccessDenied", "no s3:ListenBucketNotification"))

    with made_up(answer) as made, pytest.raises(Refused, match="no s3:Listen"), connect(made.url)():
        pass


def test_no_header_in_time(server: Server) -> None:
    server.listening = "deaf"
    began = time.monotonic()
    with pytest.raises(Deaf), connect(server.url)():
        pass
    assert HEADER_S <= time.monotonic() - began < HEADER_S + 5
    assert server.listeners == 1  # it is not tried again behind our back


def test_an_answer_of_http_1_0_is_heard_piece_by_piece() -> None:
    """As nginx speaks to what is behind it: no chunks, and the end of the connection is the end."""
    import socket  # noqa: PLC0415 -- only here

    line = b'{"Records":null}\n'
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            made, _ = listener.accept()
            with made:
                made.recv(65536)
                made.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + line)
                over.wait(10)

        over = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with connect(f"http://127.0.0.1:{listener.getsockname()[1]}")() as chunks:
                assert next(iter(lines(chunks))) == line.strip()
        finally:
            over.set()
            thread.join(10)
