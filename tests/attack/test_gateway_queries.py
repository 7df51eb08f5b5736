"""URLs and headers as an attack: unknown parameters, strange cursors, too many bytes."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from tests.contract.gateway.running import Running, emptied, problem, received, running, status_of, wired
from workers.gateway.home_key import create_home_key
from workers.gateway.openapi import WEBHOOK
from workers.gateway.route_rules import check_query
from workers.gateway.serving import HEADERS, URL

METHODS = {"get", "post", "delete", "put", "patch"}
CURSORS = [
    "x", "-1", "0-0", "00-0", "1e3", " 1", "٣", "9" * 13, "1" * 1000, "0" * 32 + "-0", "0" * 32 + "-9999",
    "g" * 32 + "-1",
    "\0", "\ud800".encode("utf-8", "surrogatepass").hex(), "18446744073709551615-0",
    "9" * 19 + "-" + "9" * 19, "null", "[]",
    "1.0", "+1", "1_0", "%00", "..", "0x10", "1-1-1", "∞",
]  # fmt: skip
PAGED = [
    "/v1/objects", "/v1/tags", "/v1/tags/cat/objects", "/v1/duplicates", "/v1/webhooks/dead", "/v1/search?q=cat",
    "/v1/search", "/v1/batches/{batch}",
]  # fmt: skip


@pytest.fixture(scope="module")
def gateway(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("home")
    key = create_home_key(home)
    with running(wired(home, redis_url), body_patience_s=2.0) as made:
        emptied(made)
        made.http.headers["Authorization"] = f"Bearer {key}"
        made.tagged("a.png", "cat")
        yield made


def operations(gateway: Running) -> list[tuple[str, str]]:
    """Method and path of every operation of the specification."""
    paths = gateway.http.get("/openapi.json").json()["paths"]
    return [(method.upper(), path) for path, item in paths.items() for method in item if method in METHODS]


def filled(path: str) -> str:
    return (
        path.replace("{bucket}", "inbox").replace("{key}", "a.png").replace("{id}", "0" * 32)
        .replace("{label}", "cat").replace("{token}", "0" * 48)
    )  # fmt: skip


def test_every_route_refuses_parameters_that_it_does_not_have(gateway: Running) -> None:
    tried = operations(gateway)
    assert len(tried) > 30
    for method, path in tried:
        if path == WEBHOOK:
            continue  # accepts any query, see tests/contract/gateway/test_webhook.py
        answer = gateway.http.request(method, filled(path), params={"no-such": "1"})
        assert (answer.status_code, problem(answer)) == (422, "invalid"), (method, path)
        assert "no-such" in answer.text
    assert gateway.http.get("/v1/objects/inbox/a.png").status_code == 200  # nothing was removed


@pytest.mark.parametrize(
    ("query", "meant"),
    [("not-tag=cat", "not_tag"), ("Tag=cat", "tag"), ("tags=cat", "tag"), ("prefx=a", "prefix"), ("LIMIT=1", "limit"),
     ("min%2Dscore=1", ""), ("query=cat", ""), ("notTag=x", "not_tag"), ("bucket%00=x", "bucket"), ("=x", "")],
)  # fmt: skip
def test_the_parameter_that_is_meant_is_named(gateway: Running, query: str, meant: str) -> None:
    answer = gateway.http.get(f"/v1/search?q=cat&{query}")
    assert (answer.status_code, problem(answer)) == (422, "invalid")
    (error,) = answer.json()["errors"]
    assert f"did you mean {meant}?" in error["reason"] if meant else "this route has" in error["reason"]


def test_a_parameter_is_not_given_twice_unless_it_is_a_list(gateway: Running) -> None:
    twice = gateway.http.get("/v1/objects?limit=1&limit=2")
    assert (twice.status_code, problem(twice)) == (422, "invalid")
    assert "more than once" in twice.text
    check_query(b"tag=cat&tag=dog", {"tag": True})
    many = gateway.http.get("/v1/objects?" + "limit=1&" * 400)
    assert (many.status_code, problem(many)) == (422, "invalid")


def test_a_strange_cursor_is_refused_everywhere(gateway: Running) -> None:
    batch = gateway.http.post("/v1/batches", json={"keys": ["a.png"]}).json()["id"]
    for path in PAGED:
        for cursor in CURSORS:
            answer = gateway.http.get(path.format(batch=batch).partition("?")[0], params=_with(path, cursor))
            assert answer.status_code in {400, 410, 422} or _possible(path, cursor), (
                path,
                cursor,
                answer.status_code,
            )
            if answer.status_code != 200:
                problem(answer)


def _with(path: str, cursor: str) -> dict[str, str]:
    name, _, value = path.partition("?")[2].partition("=")
    return {name: value, "cursor": cursor} if name else {"cursor": cursor}


def _possible(path: str, cursor: str) -> bool:
    """Whether this could be a cursor of the route: the id of a dead letter that is gone meanwhile."""
    return path == "/v1/webhooks/dead" and cursor == "9" * 19 + "-" + "9" * 19


@pytest.mark.parametrize("last", ["x", "-", "1-", "0", "1" * 21 + "-0", "18446744073709551616-0", "\xff", "*", "$"])
def test_a_strange_position_in_the_feed_is_refused(gateway: Running, last: str) -> None:
    answer = gateway.http.get("/v1/feed", headers=[(b"Last-Event-ID", last.encode("latin-1"))])
    assert (answer.status_code, problem(answer)) == (400, "bad-request")


@pytest.mark.parametrize(
    ("request_", "status", "name"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431,
         b"headers-too-large"),
        (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: yyyyyyyy\r\n" * 7_000 + b"\r\n", 431,
         b"headers-too-large"),
        (b"GET /v1/objects/inbox/" + b"x" * URL + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 414, b"uri-too-long"),
        (b"GET /v1/search?q=" + b"%41" * URL + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 414, b"uri-too-long"),
        (b"POST /v1/images?" + b"x" * URL + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n\r\na", 414,
         b"uri-too-long"),
    ],
    ids=["one header", "many headers", "path", "query", "with a body"],
)  # fmt: skip
@pytest.mark.parametrize("piece", [1_000_000, 1_000], ids=["at once", "in pieces"])
def test_what_is_too_long_is_said_so(gateway: Running, request_: bytes, status: int, name: bytes, piece: int) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        with contextlib.suppress(OSError):  # it may hang up before all is sent
            for at in range(0, len(request_), piece):
                connection.sendall(request_[at : at + piece])
        answer = received(connection)
    if piece > len(request_) or answer:
        assert status_of(answer) == status
        assert b"urn:wildtag:problem:" + name in answer
    assert gateway.http.get("/healthz").status_code == 200


def test_headers_and_urls_of_some_size_are_taken(gateway: Running) -> None:
    assert gateway.http.get("/healthz", headers={"X-Long": "x" * (HEADERS - 2_000)}).status_code == 200
    key = "ä" * 512  # 1,024 bytes, 3,072 as they are sent
    assert gateway.http.get(f"/v1/objects/inbox/{key}").status_code in {200, 404}
