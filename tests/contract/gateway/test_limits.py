"""What the gateway bears: bombs, slow senders, junk, and a Redis that goes away and comes back."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.contract.gateway.running import PIXEL, Running, problem, received, running, status_of, wired
from tests.contract.own_redis import OwnRedis
from tests.eventually import eventually
from workers.gateway.route_rules import LARGER, SMALL
from workers.gateway.security_headers import PAGE, STRICT
from workers.gateway.serving import HEADERS, Protocol
from workers.lifecycle.times import rfc3339

HOST = b"Host: 127.0.0.1\r\n"
JSON = {"Content-Type": "application/json"}


class Impatient(Protocol):
    """Gives headers half a second."""

    headers_s = 0.5


@pytest.fixture(scope="module")
def impatient(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    wiring = wired(tmp_path_factory.mktemp("home"), redis_url)
    with running(wiring, server={"http": Impatient}, body_patience_s=0.5) as gateway:
        yield gateway


@pytest.mark.parametrize(
    "bomb",
    [b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 4 * HEADERS, b"GET /" + b"x" * 4 * HEADERS,
     b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * HEADERS],
    ids=["one", "line", "many"],
)  # fmt: skip
def test_headers_without_end_are_refused(impatient: Running, bomb: bytes) -> None:
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=10) as connection:
        try:
            for at in range(0, len(bomb), 1000):
                connection.sendall(bomb[at : at + 1000])
        except OSError:
            pass  # it hung up before all was sent
        answer = received(connection)
    assert not answer or status_of(answer) in {414, 431, 400}
    assert impatient.http.get("/healthz").status_code == 200


def test_headers_of_some_size_are_taken(gateway: Running) -> None:
    assert gateway.http.get("/healthz", headers={"X-Long": "x" * 50_000}).status_code == 200


@pytest.mark.parametrize("beginning", [b"", b"G", b"GET /v1/tags HTTP/1.1\r\nHost: x\r\nX: "])
def test_headers_that_do_not_come_are_given_up(impatient: Running, beginning: bytes) -> None:
    began = time.monotonic()
    assert status_of(impatient.raw(beginning)) == 408
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "drops",
    [b"\r\n" * 200, b"GET /" + b"x" * 200, b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 200,
     b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 50],
    ids=["empty lines", "path", "one header", "many headers"],
)  # fmt: skip
def test_headers_in_drops_are_given_up(impatient: Running, drops: bytes) -> None:
    """Each byte comes in time; all of them together do not."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=10) as connection:
        answer = b""
        try:
            for at in range(len(drops)):
                connection.sendall(drops[at : at + 1])
                time.sleep(0.05)  # a drop; 200 of them take ten seconds
        except OSError:
            pass  # it hung up
        else:
            pytest.fail("it listened to all of them")
        with suppress(OSError):
            answer = received(connection)
    assert time.monotonic() - began < 8
    assert not answer or status_of(answer) == 408


def test_a_connection_that_is_kept_may_rest(impatient: Running) -> None:
    """The time for headers begins with their first byte."""
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=10) as connection:
        for _ in range(2):
            connection.sendall(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
            response = b""
            while not response.endswith(b"alive\n"):
                response += connection.recv(65_536)
            assert status_of(response) == 200
            time.sleep(0.8)  # longer than headers may take
        connection.sendall(b"GET /healthz")
        assert status_of(received(connection)) == 408


@pytest.mark.parametrize("path", ["/v1/batches", "/v1/captions", "/v1/session", "/v1/uploads"])
def test_a_json_bomb_is_refused(gateway: Running, path: str) -> None:
    answer = gateway.http.post(path, content=b'{"a": "' + b"x" * LARGER["/v1/batches"] + b'"}', headers=JSON)
    assert (answer.status_code, problem(answer)) == (413, "too-large")
    streamed = gateway.http.post(path, content=iter([b"[" * 1_000_000] * 5), headers=JSON)
    assert (streamed.status_code, problem(streamed)) == (413, "too-large")


@pytest.mark.parametrize("path", ["/v1/batches", "/v1/captions", "/v1/session", "/v1/uploads"])
@pytest.mark.parametrize(
    "body",
    [b"[" * 200_000, b'{"a":' * 100_000, b"", b"{", b"\xff\xfe", b'["\\ud800"]', b"9" * 10_000, b"null"],
)
def test_json_that_cannot_be_read_is_refused(gateway: Running, path: str, body: bytes) -> None:
    answer = gateway.http.post(path, content=body, headers=JSON)
    if len(body) > LARGER.get(path, SMALL):
        assert (answer.status_code, problem(answer)) == (413, "too-large")
    else:
        assert (answer.status_code, problem(answer)) in {(400, "bad-request"), (422, "invalid")}


@pytest.mark.parametrize("path", ["/v1/batches", "/v1/captions", "/v1/session", "/v1/events/minio"])
def test_a_body_that_does_not_come_is_given_up(impatient: Running, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 10\r\n".encode()
    answer = impatient.raw(head + HOST + b"\r\n{")
    assert status_of(answer) == 408
    assert b"urn:wildtag:problem:timeout" in answer


def test_a_stream_outlives_the_time_for_bodies(impatient: Running) -> None:
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=5) as connection:
        connection.sendall(b"GET /v1/feed HTTP/1.1\r\n" + HOST + b"\r\n")
        time.sleep(1.2)  # longer than a body may pause
        impatient.tagged(f"{time.monotonic_ns()}.png", "cat")
        response = b""
        while b"event: done" not in response:
            response += connection.recv(65_536)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/v1/tags", "/v1/status", "/healthz", "/metrics"])
def test_other_methods_are_refused_as_such(gateway: Running, method: str, path: str) -> None:
    answer = gateway.http.request(method, path)
    assert (answer.status_code, problem(answer)) == (405, "method-not-allowed")


@pytest.mark.parametrize("path", ["/v1/nothing", "/v2/images", "/nothing.html", "/v1/", "/../../etc/passwd"])
def test_what_is_not_there_is_a_problem_too(gateway: Running, path: str) -> None:
    status, body = gateway.get(path)
    assert (status, body["type"]) == (404, "urn:wildtag:problem:not-found")


@pytest.mark.parametrize(
    ("path", "policy"),
    [("/", PAGE), ("/v1/tags", STRICT), ("/v1/nothing", STRICT), ("/v1/objects/a/%ff", STRICT), ("/healthz", None)],
)
def test_browsers_are_kept_from_harm(gateway: Running, path: str, policy: str | None) -> None:
    headers = gateway.http.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert policy in {None, headers["content-security-policy"]}
    assert "server" not in headers


@pytest.mark.parametrize(
    "junk",
    [b"\0\0\0\0\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n",
     b"POST /v1/images HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     b"POST /v1/images HTTP/1.1\r\n" + HOST + b"Content-Length: -5\r\n\r\n",
     b"POST /v1/images HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\nContent-Length: 8\r\n\r\n",
     b"POST /v1/images HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"],
)  # fmt: skip
def test_what_is_no_http_is_hung_up_on(impatient: Running, junk: bytes) -> None:
    assert status_of(impatient.raw(junk)) in {400, 408}
    assert impatient.http.get("/healthz").status_code == 200


def test_without_redis_all_say_when_to_come_again_and_nothing_is_kept(tmp_path: Path) -> None:
    redis = OwnRedis()
    redis.start()
    try:
        with running(wired(tmp_path, redis.url)) as gateway:
            done = gateway.tagged("a.png", "cat")
            answers = {"ready": True, "missing": {}, "outages": [], "held_removals": [], "draining_since": None}
            assert gateway.http.get("/readyz").json() == answers
            redis.kill()
            for method, path in [
                ("GET", "/v1/objects/inbox/a.png"), ("GET", "/v1/objects"), ("GET", "/v1/tags"),
                ("GET", "/v1/status"),
                ("GET", "/v1/images/" + "0" * 32), ("POST", "/v1/images/" + "0" * 32 + ":retag"),
                ("GET", "/v1/batches/" + "0" * 24), ("POST", "/v1/images"),
                ("GET", "/v1/objects/inbox/a.png?wait=5"), ("GET", "/v1/objects/inbox/a.png:events"),
            ]:  # fmt: skip
                answer = gateway.http.request(method, path, content=PIXEL if path == "/v1/images" else None)
                assert (answer.status_code, problem(answer)) == (503, "unavailable"), path
                assert answer.headers["retry-after"], path
            assert gateway.stored() == []
            ready = gateway.http.get("/readyz")
            assert (ready.status_code, ready.json()["ready"]) == (503, False)
            assert "redis" in ready.json()["missing"]
            (away,) = ready.json()["outages"]
            assert away["name"] == "redis"
            assert rfc3339(time.time() - 60) < away["since"] <= rfc3339(time.time())
            assert 'wildtag_outage_seconds{name="redis"}' in gateway.http.get("/metrics").text
            assert gateway.http.get("/healthz").status_code == 200
            assert "wildtag_redis_up 0.0" in gateway.http.get("/metrics").text
            redis.start()
            eventually(lambda: gateway.http.get("/readyz").status_code == 200)
            assert gateway.http.get("/v1/objects/inbox/a.png").json()["record"]["etag"] == done.etag
            gateway.upload()
            ref = gateway.put("b.png")
            gateway.enter(ref)
            with gateway.http.stream("GET", "/v1/feed", headers={"Last-Event-ID": "0-0"}) as answer:
                gateway.finish(ref, "cat")
                lines = answer.iter_lines()
                eventually(lambda: '"b.png"' in next(lines))
    finally:
        redis.close()
