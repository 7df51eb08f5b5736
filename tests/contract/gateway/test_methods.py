"""HEAD wherever GET is, 405 with the methods that a path has, OPTIONS, and problem documents for unknown paths."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.contract.gateway.running import Running, png, problem, running, wired
from tests.contract.gateway.test_captions import WithWorker
from workers.gateway.openapi import WEBHOOK
from workers.gateway.page import paths
from workers.wiring.gateway import caption_service

HTTP_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "PROPFIND")
STREAMS = ("/v1/feed", "events")


@pytest.fixture(scope="module")
def module_gateway(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway whose questions to workers are answered."""
    wiring = wired(tmp_path_factory.mktemp("home"), redis_url, WithWorker)
    with running(wiring, replaced={"captions": caption_service(wiring, patience_s=0.5)}) as gateway:
        yield gateway


@pytest.fixture
def known(gateway: Running) -> dict[str, set[str]]:
    """The paths of all routes, with values, and their methods: also those of a route for any key or id."""
    found = {}
    values = {"{bucket}": "inbox", "{key}": "a.png", "{label}": "cat", "{token}": "0" * 48}
    gateway.tagged("a.png", "cat")
    values["{id}"] = gateway.upload()["id"]
    paths = gateway.http.get("/openapi.json").json()["paths"]
    for path in paths:
        address = path
        for name, value in values.items():
            address = address.replace(name, value)
        serving = [item for other, item in paths.items() if re.fullmatch(pattern(other), address)]
        found[address] = {method.upper() for item in serving for method in item}
    return found


def pattern(path: str) -> str:
    """The paths that a route serves."""
    return re.sub(r"\{\w+\}", "[^/]+", path.replace("{key}", ".+"))


def same(one: httpx.Response, other: httpx.Response) -> bool:
    changing = {"date", "x-request-id"} | ({"retry-after", "content-length"} if "metrics" in str(one.url) else set())
    headers = [{n: v for n, v in answer.headers.items() if n not in changing} for answer in (one, other)]
    return one.status_code == other.status_code and headers[0] == headers[1]


def test_head_is_answered_as_get_without_the_body(gateway: Running, known: dict[str, set[str]]) -> None:
    got = [path for path, methods in known.items() if "GET" in methods]
    assert len(got) > 15
    for path in [*got, *sorted(paths()), "/openapi.json", "/v1/nothing", "/nothing"]:
        head = gateway.http.head(path)
        assert head.content == b"", path
        if any(part in path for part in STREAMS):
            assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8"), path
            continue
        get = gateway.http.get(path)
        if path != "/v1/status":  # its body changes with the time
            assert same(head, get), (path, head.headers, get.headers)


def test_a_stream_ends_with_its_headers(gateway: Running) -> None:
    """Its place is free again, and the connection can be used again."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        for _ in range(3):
            connection.sendall(b"HEAD /v1/feed HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += connection.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200")
            assert answer.endswith(b"\r\n\r\n")
    assert "wildtag_event_streams 0.0" in gateway.http.get("/metrics").text


def test_head_asks_for_the_same_key_and_parameters(gateway: Running, redis_url: str, tmp_path: Any) -> None:
    assert gateway.http.head("/v1/objects?nothing=1").status_code == 422
    tag = gateway.http.get(f"/v1/images/{gateway.upload(png('etag'))['id']}").headers["etag"]
    (path,) = gateway.stored()
    again = gateway.http.head(f"/v1/images/{path.name}", headers={"If-None-Match": tag})
    assert (again.status_code, again.headers["etag"]) == (304, tag)
    with running(wired(tmp_path, redis_url, key_required=True, admin_key="an-admin-key-of-tests")) as closed:
        assert closed.http.head("/v1/objects").status_code == 401
        assert closed.http.head("/healthz").status_code == 200


def test_a_method_that_a_path_does_not_have_is_refused_with_those_that_it_has(
    gateway: Running, known: dict[str, set[str]]
) -> None:
    assert known[WEBHOOK] == {"POST"}
    pages = {path: {"GET"} for path in ("/", "/main.js", "/docs", "/docs/files/swagger-ui.css", "/openapi.json")}
    for path, methods in {**known, **pages}.items():
        allowed = methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
        for method in HTTP_METHODS:
            if method in allowed - {"OPTIONS"}:
                continue
            answer = gateway.http.request(method, path)
            assert set(answer.headers["allow"].split(", ")) == allowed, (method, path)
            if method == "OPTIONS":
                assert (answer.status_code, answer.content) == (204, b"")
            elif method == "HEAD":
                assert (answer.status_code, answer.content) == (405, b"")
            else:
                assert (answer.status_code, problem(answer)) == (405, "method-not-allowed"), (method, path)
    assert gateway.http.get("/v1/objects/inbox/a.png").status_code == 200  # nothing was done


@pytest.mark.parametrize("method", HTTP_METHODS)
@pytest.mark.parametrize(
    "path", ["/nothing", "/v1/nothing", "/v1", "/v1/", "/v1/images/", "/docs/nothing", "/docs/files/nothing.js",
             "/main.js/", "/../main.js", "/docs/", "/v2/images"],
)  # fmt: skip
def test_an_unknown_path_is_a_problem_document(gateway: Running, method: str, path: str) -> None:
    answer = gateway.raw(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404"), (method, path, answer)
    assert b"content-type: application/problem+json" in head
    assert b"content-security-policy:" in head
    assert (b"urn:wildtag:problem:not-found" in body) == (method != "HEAD")


def test_options_for_the_whole_server(gateway: Running) -> None:
    answer = gateway.raw(b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 204")
    assert b"allow: DELETE, GET, HEAD, OPTIONS, POST" in answer


def test_a_preflight_of_another_origin_is_answered_with_what_it_may_do(redis_url: str, tmp_path: Any) -> None:
    with running(wired(tmp_path, redis_url, cors_origins=["https://album.example"])) as gateway:
        asked = {"Origin": "https://album.example", "Access-Control-Request-Method": "HEAD",
                 "Access-Control-Request-Headers": "authorization"}  # fmt: skip
        answer = gateway.http.options("/v1/objects", headers=asked)
        assert answer.status_code == 200
        assert "HEAD" in answer.headers["access-control-allow-methods"]
        plain = gateway.http.options("/v1/objects")
        assert (plain.status_code, plain.headers["allow"]) == (204, "GET, HEAD, OPTIONS")


def test_head_is_counted_as_head(gateway: Running) -> None:
    gateway.http.head("/v1/tags")
    counted = 'wildtag_http_requests_total{method="HEAD",route="/v1/tags",status="200"}'
    assert counted in gateway.http.get("/metrics").text
