"""Every response has the security headers: of routes, files and errors, and what the server itself answers."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from ops.chaos.passive_rules import Answer, faults
from tests.contract.gateway.running import PIXEL, Running, emptied, running, wired
from tests.contract.gateway.test_captions import WithWorker
from workers.gateway.api_keys import Scope
from workers.gateway.page import paths
from workers.wiring.gateway import caption_service

ADMIN = "an-admin-key-of-tests"
BEARER = {"Authorization": f"Bearer {ADMIN}"}
VALUES = {"{bucket}": "inbox", "{key}": "a.png", "{label}": "cat", "{token}": "0" * 48, "{id}": "0" * 32}


@pytest.fixture(scope="module")
def locked(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway that asks for keys."""
    home = tmp_path_factory.mktemp("home")
    wiring = wired(home, redis_url, WithWorker, key_required=True, admin_key=ADMIN, cors_origins="https://a.example")
    captions = caption_service(wiring, patience_s=0.2)
    with running(wiring, replaced={"captions": captions}, body_patience_s=0.5) as gateway:
        emptied(gateway)
        yield gateway


def judged(path: str, answer: httpx.Response, *, body: bytes | None = None) -> list[str]:
    """What is wrong with an answer, after its path and status."""
    content = answer.content if body is None else body
    seen = Answer(path, answer.status_code, answer.headers.multi_items(), content)
    return [f"{answer.request.method} {path} {answer.status_code}: {fault}" for fault in faults(seen, [ADMIN])]


def parsed(raw: bytes) -> Answer:
    """An answer's bytes."""
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    pairs = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return Answer("", int(status.split()[1]), pairs, body)


def asked(gateway: Running, method: str, path: str, headers: dict[str, str]) -> list[str]:
    with gateway.http.stream(method, path, headers=headers) as answer:
        streams = answer.headers.get("content-type", "").startswith("text/event-stream")
        body = b"" if streams else answer.read()
        return judged(path, answer, body=body)


def test_every_route_and_its_errors(locked: Running) -> None:
    locked.tagged("a.png", "cat")
    found: list[str] = []
    operations = locked.http.get("/openapi.json").json()["paths"]
    for path, item in operations.items():
        address = re.sub(r"\{\w+\}", lambda name: VALUES[name[0]], path)
        for method in item:
            found += asked(locked, method.upper(), address, BEARER)  # without the body that it needs
            found += asked(locked, method.upper(), address, {})  # 401
            found += asked(locked, method.upper(), f"{address}?nothing=1", BEARER)  # 422
        found += asked(locked, "PUT", address, BEARER)  # 405
        found += asked(locked, "HEAD", address, {})
    assert len(operations) > 25
    assert found == []


def test_every_file_of_the_page(locked: Running) -> None:
    shown = [path for path in paths() if not path.startswith("/docs/files/") or "swagger-ui" in path]
    assert [fault for path in shown for fault in asked(locked, "GET", path, {})] == []
    assert [
        fault for path in ("/nothing", "/../x", "/docs/files/no") for fault in asked(locked, "GET", path, {})
    ] == []


def test_what_is_refused_for_its_size_form_or_origin(locked: Running) -> None:
    large = b"[" + b"1," * 20_000 + b"1]"
    sent = [
        ("POST", "/v1/images", {**BEARER, "Content-Encoding": "gzip"}, PIXEL),  # 415
        ("POST", "/v1/images", BEARER, b"no image"),
        ("POST", "/v1/images", BEARER, PIXEL),
        ("POST", "/v1/session", {"Content-Type": "application/json"}, large),  # 413
        ("POST", "/v1/session", {"Content-Type": "application/json"}, b'{"key": "' + ADMIN.encode() + b'"}'),
        ("DELETE", "/v1/session", {"Origin": "https://evil.example"}, b""),
        ("OPTIONS", "/v1/images", {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}, b""),
        ("OPTIONS", "/v1/images", {"Origin": "https://b.example", "Access-Control-Request-Method": "POST"}, b""),
    ]
    found, statuses = [], set()
    for method, path, headers, content in sent:
        answer = locked.http.request(method, path, headers=headers, content=content)
        statuses.add(answer.status_code)
        found += judged(path, answer)
    locked.http.cookies.clear()
    assert found == []
    assert {202, 204, 403, 413, 415} <= statuses


@pytest.mark.parametrize(
    ("request_", "status"),
    [(b"GET / HTTP/9.9\r\n\r\n", 400), (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
     (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", 414), (b"GET / HTTP/1.1\r\nA: " + b"b" * 70_000, 431),
     (b"POST /v1/session HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{", 408)],
    ids=["version", "tls", "long", "large", "slow"],
)  # fmt: skip
def test_what_the_server_itself_answers(locked: Running, request_: bytes, status: int) -> None:
    answer = parsed(locked.raw(request_))
    assert (answer.status, faults(answer)) == (status, [])


def test_a_fault_of_ours(locked: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(type(locked.wiring.api_keys), "look_up", broken)
    unknown = {"Authorization": "Bearer wt_000000000000_" + "1" * 48}
    answer = locked.http.get("/v1/status", headers=unknown)
    assert (answer.status_code, judged("/v1/status", answer)) == (500, [])
    assert "secret" not in answer.text


def test_what_is_limited(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")
    with running(wired(home, redis_url, key_required=True, admin_key=ADMIN, request_rate=0.05)) as gateway:
        key = {"Authorization": f"Bearer {gateway.wiring.api_keys.create('k', Scope.READ)}"}
        for status in (200, 429):
            answer = gateway.http.get("/v1/tags", headers=key)
            assert (answer.status_code, judged("/v1/tags", answer)) == (status, [])
        raw = gateway.raw(b"GET /v1/tags HTTP/1.0\r\n\r\n")
        assert faults(parsed(raw)) == []


def test_a_root_path_and_what_is_served_before_redis_is_there(
    redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home")
    wiring = wired(home, redis_url, root_path="/tags", key_required=True, admin_key=ADMIN)
    with running(wiring) as gateway:
        for path in ("/tags", "/tags/", "/tags/main.js", "/tags/v1/status", "/tags/docs"):
            answer = gateway.http.get(path)
            assert judged(path.removeprefix("/tags"), answer) == []
            assert answer.status_code < 500
        page = gateway.http.get("/tags/").headers["content-security-policy"]
        assert "trusted-types wildtag" in page
