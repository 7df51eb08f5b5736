"""The proxies of chaos runs make the trouble that they say."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from minio import Minio
from minio.error import S3Error
from urllib3 import PoolManager, Retry, Timeout

from ops.bench.moto_server import moto
from ops.chaos.notifications import notifications
from ops.chaos.old_versions import LAG_S, OldVersions
from ops.chaos.proxy import Proxy, Toxic
from ops.chaos.store_proxy import StoreProxy, Trouble, store_proxy
from tests.eventually import eventually


@pytest.fixture
def echoed() -> Iterator[Proxy]:
    """A proxy to a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=echo, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        proxy = Proxy(server.getsockname()[1])
        yield proxy
        proxy.close()


def echo(connection: socket.socket) -> None:
    with connection, suppress(ConnectionResetError):
        while data := connection.recv(1000):
            connection.sendall(data)


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=0.5)


def test_connections_pass_are_late_and_are_swallowed(echoed: Proxy) -> None:
    with connected(echoed) as one:
        one.sendall(b"a")
        assert one.recv(1) == b"a"
        echoed.set(Toxic.LATE)
        one.settimeout(5)
        begin = time.monotonic()
        one.sendall(b"b")
        assert one.recv(1) == b"b"
        assert time.monotonic() - begin > 0.5
        echoed.set(Toxic.BLACKHOLE)
        one.settimeout(0.5)
        one.sendall(b"c")
        with pytest.raises(TimeoutError):
            one.recv(1)
        echoed.set(Toxic.NONE)
        with pytest.raises(ConnectionResetError):
            one.recv(1)
    with connected(echoed) as other:
        other.sendall(b"d")
        assert other.recv(1) == b"d"


def test_connections_are_reset_and_others_refused(echoed: Proxy) -> None:
    with connected(echoed) as one:
        one.sendall(b"a")
        assert one.recv(1) == b"a"
        echoed.set(Toxic.RESET)
        with pytest.raises(ConnectionResetError):
            one.recv(1)
    # while it connects, or afterwards
    with pytest.raises(ConnectionResetError), connected(echoed) as other:
        other.recv(1)


@pytest.fixture(scope="module")
def bucket() -> Iterator[tuple[StoreProxy, Minio]]:
    with moto() as upstream, store_proxy(upstream) as proxy:
        pool = PoolManager(timeout=Timeout(connect=2, read=1), retries=Retry(0))
        client = Minio(
            proxy.url.removeprefix("http://"), "a", "b", secure=False, region="us-east-1", http_client=pool
        )
        client.make_bucket("photos")
        for name in "abc":
            client.put_object("photos", name, io.BytesIO(b"content"), 7)
        yield proxy, client


def names(client: Minio) -> list[str]:
    return [str(one.object_name) for one in client.list_objects("photos")]


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (Trouble.ERRORS, "InternalError"), (Trouble.SLOW_DOWN, "SlowDown"), (Trouble.EXPIRED, "ExpiredToken"),
        (Trouble.NO_BUCKET, "NoSuchBucket"),
    ],
)  # fmt: skip
def test_the_store_refuses(bucket: tuple[StoreProxy, Minio], trouble: Trouble, code: str) -> None:
    proxy, client = bucket
    proxy.trouble = trouble
    with pytest.raises(S3Error) as refused:
        client.get_object("photos", "a")
    assert refused.value.code == code
    proxy.trouble = Trouble.NONE
    assert client.get_object("photos", "a").data == b"content"


def test_listings_are_wrong(bucket: tuple[StoreProxy, Minio]) -> None:
    proxy, client = bucket
    assert names(client) == ["a", "b", "c"]
    wrong = {
        Trouble.LISTING_REPEATS: ["a", "b", "c", "c"], Trouble.LISTING_SKIPS: ["a", "c"], Trouble.EMPTY: [],
    }  # fmt: skip
    for trouble, expected in wrong.items():
        proxy.trouble = trouble
        assert names(client) == expected
    proxy.trouble = Trouble.NONE
    client.put_object("photos", "d", io.BytesIO(b"content"), 7)
    proxy.trouble = Trouble.OLD_LISTING
    assert names(client) == ["a", "b", "c"]
    proxy.trouble = Trouble.NONE
    assert names(client) == ["a", "b", "c", "d"]


def test_bodies_are_cut_etags_are_wrong_and_requests_hang(bucket: tuple[StoreProxy, Minio]) -> None:
    proxy, client = bucket
    right = client.stat_object("photos", "a").etag
    proxy.trouble = Trouble.WRONG_ETAG
    assert client.stat_object("photos", "a").etag != right
    proxy.trouble = Trouble.TRUNCATED
    with pytest.raises(Exception, match=r"IncompleteRead|more expected"):
        client.get_object("photos", "a").read()
    proxy.trouble = Trouble.HANGS
    with pytest.raises(Exception, match="timed out"):
        client.stat_object("photos", "a")
    proxy.trouble = Trouble.NONE
    eventually(lambda: client.stat_object("photos", "a").etag == right, 5)


def test_changes_are_seen_late(bucket: tuple[StoreProxy, Minio]) -> None:
    proxy, client = bucket
    client.put_object("photos", "late", io.BytesIO(b"before"), 6)
    assert client.get_object("photos", "late").data == b"before"
    old = client.stat_object("photos", "late").etag
    now = 0.0
    proxy.versions = OldVersions(clock=lambda: now)
    client.get_object("photos", "late")
    proxy.trouble = Trouble.OLD_OBJECTS
    for name in ("late", "new"):
        client.put_object("photos", name, io.BytesIO(b"after"), 5)
    assert client.get_object("photos", "late").data == b"before"
    assert client.stat_object("photos", "late").etag == old
    for ask in (client.get_object, client.stat_object):
        with pytest.raises(S3Error) as refused:
            ask("photos", "new")
        assert refused.value.code == "NoSuchKey"
    assert {"late", "new"} <= set(names(client))
    now = LAG_S
    assert client.get_object("photos", "late").data == client.get_object("photos", "new").data == b"after"
    assert client.stat_object("photos", "late").size == 5
    proxy.trouble = Trouble.NONE


def test_notifications_are_passed_on_as_often_as_the_stage_decides() -> None:
    taken: list[bytes] = []

    class Intake(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(503 if len(taken) == 1 else 200)  # the first is repeated by the stage
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Intake) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        with notifications(3, lambda: f"http://127.0.0.1:{server.server_port}/", "a-token") as stage:
            for number in range(60):
                stage.take(b"%d" % number)
            counts = dict(stage.counts)
            assert counts.keys() >= {"lost", "repeated", "delayed", "reordered", "at once"}
            soon = counts["at once"] + counts["reordered"] + counts["repeated"]
            eventually(lambda: stage.counts["passed on"] >= soon, 10)
        server.shutdown()
    assert len(set(taken)) <= 60 - counts["lost"]
    assert taken != sorted(taken, key=int)
