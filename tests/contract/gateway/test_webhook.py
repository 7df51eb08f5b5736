"""Bucket events reach the gateway's own process, over a Redis that can be killed: it stores before it answers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest

from tests import warm
from tests.contract.gateway.running import PIXEL, running, wired
from tests.contract.own_redis import OwnRedis
from tests.eventually import eventually
from tests.unit.events.samples import BUCKET, body, record
from workers.embedded.ports import free_port
from workers.embedded.stack import command
from workers.events.notification import LARGEST
from workers.events.sink import EventSink
from workers.lifecycle.inbox import Inbox
from workers.redis.connection import Client, connect
from workers.redis.keys import Keys
from workers.redis.layout import Layout
from workers.settings.settings import Settings

TOKEN = "a-token-of-tests"  # noqa: S105 -- opens nothing but the gateway of these tests
PATH = "/v1/events/minio"


@dataclass
class Gateway:
    """A running gateway and its Redis."""

    port: int
    redis: OwnRedis
    client: Client
    process: psutil.Process

    @property
    def event_sink(self) -> EventSink:
        return EventSink(self.client, Keys("test:"))

    @property
    def stored(self) -> list[str]:
        """The keys of all events in the inbox, which is emptied."""
        inbox = Inbox(self.client, Keys("test:").inbox)
        inbox.prepare()
        read = inbox.read("me", 100_000, 1)
        inbox.done([entry for entry, _ in read])
        return [event.key for _, event in read]

    def connect(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=30)

    def post(
        self, data: bytes, headers: dict[str, str] | None = None, *, token: str | None = TOKEN, query: str = ""
    ) -> int:
        """POST a body; gives the status."""
        shown = {"Authorization": f"Bearer {token}"} if token is not None else {}
        connection = self.connect()
        connection.request(
            "POST", PATH + query, data, {"Content-Type": "application/json", **shown, **(headers or {})}
        )
        status = connection.getresponse().status
        connection.close()
        return status

    def get(self, path: str) -> int:
        connection = self.connect()
        connection.request("GET", path)
        status = connection.getresponse().status
        connection.close()
        return status


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    redis = OwnRedis()
    client = redis.start()
    port = free_port(0)
    home = tmp_path_factory.mktemp("home")
    (home / "inbox").mkdir()
    settings = Settings(
        home=home, redis_url=redis.url, key_prefix="test:", bucket=BUCKET,
        gateway_port=port, webhook_token=TOKEN,
    )  # fmt: skip
    started = subprocess.Popen(command("gateway"), env=settings.process_environment())
    made = Gateway(port, redis, client, psutil.Process(started.pid))
    try:
        ready(made)
        yield made
    finally:
        started.terminate()
        started.wait(15)
        redis.close()


@pytest.fixture
def gateway(process: Gateway) -> Gateway:
    process.client.flushall()
    Layout(process.client, Keys("test:")).require()
    return process


def ready(gateway: Gateway) -> None:
    def answers() -> bool:
        assert gateway.process.is_running()
        try:
            return gateway.get("/readyz") == 200
        except OSError:
            return False

    eventually(answers, 60)


def test_an_event_is_stored(gateway: Gateway) -> None:
    assert gateway.post(body(record(key="walks/a b+é.jpg"))) == 200
    assert gateway.stored == ["walks/a b+é.jpg"]
    assert gateway.event_sink.counts() == {"webhook:events": 1}


@pytest.mark.parametrize(
    "query", ["?x=", "?", "?x=1&x=2", "?a&b", "?%ff", "?" + "&".join(f"a{n}=" for n in range(300))]
)
def test_the_url_of_a_target_may_have_a_query(gateway: Gateway, query: str) -> None:
    """MinIO sends the first event until it is accepted: a refusal would block all others."""
    assert gateway.post(body(record(key="a.jpg")), query=query) == 200
    assert gateway.stored == ["a.jpg"]
    assert gateway.post(body(record(key="b.jpg")), token=None, query=f"{query}&token={TOKEN}") == 401


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "x", TOKEN.upper(), "\xe9"])
def test_whoever_shows_no_token_is_not_listened_to(gateway: Gateway, token: str | None) -> None:
    assert gateway.post(body(record()), token=token) == 401
    assert gateway.stored == []


def test_tags_written_back_are_counted_and_no_more(gateway: Gateway) -> None:
    assert gateway.post(body(record("s3:ObjectCreated:PutTagging"))) == 200
    assert gateway.stored == []
    assert gateway.event_sink.counts() == {"webhook:ignored:PutTagging": 1}


@pytest.mark.parametrize("data", [b"", b"junk", b"[" * 100_000, b"\xff\xfe", b'{"Records":"none"}'])
def test_junk_is_accepted_and_set_aside(gateway: Gateway, data: bytes) -> None:
    assert gateway.post(data) == 202
    (aside,) = gateway.event_sink.rejected()
    assert aside.rejected.reason
    assert (aside.rejected.source, aside.rejected.size, aside.rejected.body) == ("webhook", len(data), data[:4096])


def test_what_can_be_read_beside_junk_is_stored(gateway: Gateway) -> None:
    wrong = record(key="wrong", size=-5)
    assert gateway.post(body(record(key="good"), wrong)) == 202
    assert gateway.stored == ["good"]
    assert len(gateway.event_sink.rejected()) == 1


def test_junk_does_not_fill_redis(gateway: Gateway) -> None:
    connection = gateway.connect()
    for _ in range(1500):
        connection.request("POST", PATH, b"x" * 10_000, {"Authorization": f"Bearer {TOKEN}"})
        assert connection.getresponse().read() == b""
    assert gateway.client.xlen("test:rejected") < 1200
    assert gateway.event_sink.counts() == {"webhook:rejected": 1500}


def test_a_body_that_is_too_large_is_not_kept(gateway: Gateway) -> None:
    before = gateway.process.memory_info().rss
    assert gateway.post(b"x" * (64 * 2**20)) == 202
    (aside,) = gateway.event_sink.rejected()
    assert (aside.rejected.size, aside.rejected.reason) == (64 * 2**20, f"larger than {LARGEST} bytes")
    assert gateway.process.memory_info().rss - before < 16 * 2**20


def test_a_body_of_unknown_length_is_cut(gateway: Gateway) -> None:
    connection = gateway.connect()
    chunks = (b"y" * 65_536 for _ in range(400))
    connection.request("POST", PATH, chunks, {"Authorization": f"Bearer {TOKEN}"}, encode_chunked=True)
    assert connection.getresponse().status == 202
    (aside,) = gateway.event_sink.rejected()
    assert LARGEST < aside.rejected.size < 2 * LARGEST
    assert aside.rejected.body == b"y" * 4096


def test_a_sender_that_hangs_up_leaves_nothing(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port)) as half:
        half.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
                     "Content-Length: 1000\r\n\r\n{".encode())  # fmt: skip
    assert gateway.post(body(record(key="after"))) == 200
    assert gateway.stored == ["after"]
    assert gateway.event_sink.rejected() == []


def test_many_at_once_are_all_stored(gateway: Gateway) -> None:
    statuses: list[int] = []

    def send(sender: int) -> None:
        connection, shown = gateway.connect(), {"Authorization": f"Bearer {TOKEN}"}
        for number in range(50):
            connection.request("POST", PATH, body(record(key=f"{sender}-{number}")), shown)
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)

    senders = [threading.Thread(target=send, args=(sender,)) for sender in range(16)]
    for thread in senders:
        thread.start()
    for thread in senders:
        thread.join()
    assert statuses == [200] * 800
    stored = gateway.stored
    assert len(stored) == 800
    assert set(stored) == {f"{sender}-{number}" for sender in range(16) for number in range(50)}


def test_without_redis_nothing_is_accepted_and_nothing_accepted_is_lost(gateway: Gateway) -> None:
    """Redis is killed in the middle of a stream of events."""
    accepted: list[str] = []
    refused: list[int] = []
    stop = threading.Event()

    def send() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            status = gateway.post(body(record(key=str(number))))
            if status == 200:
                accepted.append(str(number))
            else:
                refused.append(status)

    sender = threading.Thread(target=send)
    sender.start()
    eventually(lambda: len(accepted) > 20)
    gateway.redis.kill()
    eventually(lambda: len(refused) >= 2)
    gateway_alive, gateway_ready = gateway.get("/healthz"), gateway.get("/readyz")
    between = len(accepted)
    gateway.client = gateway.redis.start()
    eventually(lambda: len(accepted) > between + 20)
    stop.set()
    sender.join()
    assert (gateway_alive, gateway_ready) == (200, 503)
    assert set(refused) == {503}
    assert set(accepted) <= set(gateway.stored)


@pytest.mark.parametrize(("headers", "status"), [({}, 200), ({"Origin": "https://example.org"}, 403)])
def test_without_a_token_no_page_in_a_browser_may_tell(
    redis_url: str, tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    connect(redis_url).flushall()
    with running(wired(tmp_path, redis_url, bucket=BUCKET)) as open_:
        assert open_.http.post(PATH, content=body(record()), headers=headers).status_code == status
        assert open_.wiring.inbox.length() == (status == 200)


def test_memory_does_not_grow_with_uploads(gateway: Gateway) -> None:
    """300 images of 100 KB, after as many that fill pools and caches."""
    connection, image = gateway.connect(), PIXEL.ljust(100_000, b"\0")

    def upload(count: int) -> int:
        for _ in range(count):
            connection.request("POST", "/v1/images", image)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 202
        return int(gateway.process.memory_info().rss)

    before = upload(300)
    assert upload(300) - before < 8 * 2**20


def test_the_command_line_shows_what_was_set_aside(gateway: Gateway, tmp_path: Path) -> None:
    gateway.post(b"[bold]junk\x1b[2J")
    environment = {**os.environ, "WILDTAG_HOME": str(tmp_path), "WILDTAG_REDIS_URL": gateway.redis.url,
                   "WILDTAG_KEY_PREFIX": "test:"}  # fmt: skip

    def wildtag(*arguments: str) -> str:
        done = warm.wildtag("events", *arguments, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (line,) = wildtag("rejected", "--json").splitlines()
    shown = json.loads(line)
    assert (shown["source"], shown["size"], shown["body"]) == ("webhook", 14, "[bold]junk\x1b[2J")
    assert "\x1b[2J" not in wildtag("rejected")
    assert json.loads(wildtag("counts", "--json")) == {"webhook:rejected": 1}
