"""Attacks on the gateway that failed when they were tried first: they have to go on failing."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.attack.gateway_process import ADMIN
from tests.contract.gateway.running import PIXEL, Running, emptied, png, received, running, status_of, wired
from workers.gateway.api_keys import Scope
from workers.gateway.serving import Protocol
from workers.wiring.gateway import caption_service

PUBLIC = {
    ("GET", "/healthz"), ("GET", "/readyz"), ("POST", "/v1/session"), ("DELETE", "/v1/session"),
    ("POST", "/v1/uploads/{token}"),  # the token is the key
}  # fmt: skip
OF_ADMIN = {("GET", "/v1/webhooks"), ("GET", "/v1/webhooks/dead"), ("POST", "/v1/webhooks/dead/{id}:replay")}
READS_BY_POST = {("POST", "/v1/search")}
SHAPES = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"><svg onload=alert(1)>", "javascript:alert(1)",
    "</title><script>alert(1)</script>", "';alert(1)//", "{{constructor.constructor('alert(1)')()}}", "${alert(1)}",
    "<iframe srcdoc='<script>alert(1)</script>'>", "\u2028alert(1)\u2029", "<!--", "]]>", "&lt;script&gt;",
    "\\u003cscript\\u003e",
    "<a href=javascript:alert(1)>x</a>", "<math><mi//xlink:href=\"data:x,<script>alert(1)</script>\">",
    "\r\nX-Evil: 1",
    "<base href=//evil.example>", "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<style>@import'//evil'</style>",
    "<object data=//evil.example>", "<form action=//evil.example>",
    "<svg><use href=//evil.example#x>", "%3Cscript%3E",
]  # fmt: skip


@pytest.fixture(scope="module")
def module_gateway(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("home")
    (home / "secret.txt").write_text("the secret")

    class Impatient(Protocol):
        headers_s = 2.0

    wiring = wired(home, redis_url, key_required=True, admin_key=ADMIN)
    without_workers = {"captions": caption_service(wiring, patience_s=0.2)}
    with running(wiring, server={"http": Impatient}, replaced=without_workers, body_patience_s=1.0) as made:
        yield made


@pytest.fixture
def gateway(module_gateway: Running) -> Running:
    """A gateway that asks for keys, whose client is admin."""
    emptied(module_gateway)
    module_gateway.http.headers["Authorization"] = f"Bearer {ADMIN}"
    return module_gateway


def operations(gateway: Running) -> dict[tuple[str, str], Any]:
    paths = gateway.http.get("/openapi.json").json()["paths"]
    return {
        (method.upper(), path): operation for path, item in paths.items() for method, operation in item.items()
    }  # fmt: skip


def tried(gateway: Running, method: str, path: str, headers: dict[str, str]) -> int:
    for name, value in (("bucket", "inbox"), ("key", "a.png"), ("id", "1-1"), ("label", "cat"), ("token", "0" * 48)):
        path = path.replace(f"{{{name}}}", value)
    with gateway.http.stream(method, path, headers={"Authorization": "", **headers}) as answer:
        return int(answer.status_code)


def test_every_route_asks_for_its_scope(gateway: Running) -> None:
    reader = {"Authorization": f"Bearer {gateway.wiring.api_keys.create('r', Scope.READ)}"}
    writer = {"Authorization": f"Bearer {gateway.wiring.api_keys.create('w', Scope.WRITE)}"}
    for (method, path), operation in operations(gateway).items():
        route = method, path
        if route in PUBLIC:
            assert not operation["security"] or {} in operation["security"], (
                route
            )  # no key, or one that is not needed
            continue
        assert tried(gateway, method, path, {}) == 401, route
        if path == "/v1/events/minio":
            continue  # has a token of its own
        assert operation["security"], route
        changes = method != "GET" and route not in READS_BY_POST
        assert (tried(gateway, method, path, reader) == 403) == (changes or route in OF_ADMIN), route
        assert (tried(gateway, method, path, writer) == 403) == (route in OF_ADMIN), route


def test_no_page_of_another_site_changes_anything(gateway: Running) -> None:
    cookie = {"Cookie": gateway.signed_in(ADMIN), "Origin": "https://evil.example"}
    gateway.tagged("a.png", "cat")
    for method, path in operations(gateway):
        if method != "GET" and (method, path) not in PUBLIC and path != "/v1/events/minio":
            assert tried(gateway, method, path, cookie) == 403, (method, path)
    assert (gateway.folder / "a.png").exists()


@pytest.mark.parametrize("shape", SHAPES)
def test_no_text_of_ours_or_of_others_becomes_a_page(gateway: Running, shape: str) -> None:
    """Keys, labels, captions, searches and errors are JSON that no browser shows as a page, and no header."""
    key = f"{shape.replace('/', '_')}.png".replace("\0", "_")
    gateway.tagged(key, shape)
    http, where = gateway.http, "/v1/objects/inbox/"
    for answer in (
        http.get("/v1/objects"), http.get("/v1/tags"), http.get(f"{where}{_escaped(key)}"),
        http.get(f"/v1/tags/{_escaped(shape)}/objects"), http.get("/v1/search", params={"cursor": shape}),
        http.get(f"/v1/{_escaped(shape)}"), http.get("/v1/objects", params={shape: "1"}),
        http.get("/v1/objects", params={"limit": shape}), http.post("/v1/batches", json={shape: 1}),
        http.get(f"{where}{_escaped(key)}:content"), http.get(f"/v1/thumbnails/inbox/{_escaped(key)}"),
    ):  # fmt: skip
        kind = answer.headers["content-type"]
        assert kind in {"application/json", "application/problem+json", "image/png", "image/webp"}, answer.url
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "x-evil" not in answer.headers
        if "json" in kind:
            json.loads(answer.text)


def _escaped(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    "path",
    ["../secret.txt", "..%2Fsecret.txt", "%2e%2e%2fsecret.txt", "....//secret.txt", "..\\secret.txt", "/etc/passwd",
     "%2Fetc%2Fpasswd", "a/../../secret.txt", "..%00/secret.txt", "%c0%ae%c0%ae/secret.txt", ".%2e/secret.txt",
     "file:///etc/passwd", "~/secret.txt", "%252e%252e%252fsecret.txt"],
)  # fmt: skip
def test_no_path_leads_out_of_the_bucket(gateway: Running, path: str) -> None:
    more = f"Host: x\r\nAuthorization: Bearer {ADMIN}\r\nConnection: close\r\n\r\n"
    for route in (f"/v1/objects/inbox/{path}", f"/v1/objects/inbox/{path}:content", f"/v1/thumbnails/inbox/{path}",
                  f"/v1/overlays/inbox/{path}", f"/{path}", f"/docs/files/{path}"):  # fmt: skip
        answer = gateway.raw(f"GET {route} HTTP/1.1\r\n{more}".encode())
        assert status_of(answer) in {400, 403, 404, 307}, route
        assert b"the secret" not in answer
        assert b"root:" not in answer


@pytest.mark.parametrize("text", ["a" * 1000 + "!", "(" * 500, "a-" * 400, "0" * 999, "é" * 400, "wt_" + "0" * 900])
def test_no_text_keeps_a_regular_expression_busy(gateway: Running, text: str) -> None:
    before = time.process_time()
    gateway.http.get("/v1/status", headers=[(b"Authorization", f"Bearer {text}".encode())])
    gateway.http.get("/v1/tags", params={"prefix": text[:200]})
    gateway.http.get("/v1/objects", params={"cursor": text[:1000]})
    gateway.http.get(f"/v1/images/{_escaped(text[:300])}")
    gateway.http.post(
        "/v1/images", content=PIXEL, headers={"Content-Type": f"multipart/form-data; boundary={'a' * 900}"}
    )
    assert time.process_time() - before < 5  # a backtracking expression would take hours


@pytest.mark.long
def test_slow_clients_are_many_and_others_are_served(gateway: Running) -> None:
    slow = [socket.create_connection(("127.0.0.1", gateway.port), timeout=30) for _ in range(200)]
    try:
        for number, connection in enumerate(slow):
            head = b"POST /v1/images HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + ADMIN.encode()
            connection.sendall(head[: 10 + number] if number % 2 else head + b"\r\nContent-Length: 9\r\n\r\n")
        assert gateway.http.get("/healthz").status_code == 200
        assert gateway.http.get("/v1/status").status_code == 200
        for connection in slow[::2]:
            assert status_of(received(connection)) in {408, 429}
        assert gateway.upload(png("after"))["state"] == "queued"
    finally:
        for connection in slow:
            connection.close()


def test_requests_are_not_smuggled(gateway: Running) -> None:
    inner = b"GET /v1/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + ADMIN.encode() + b"\r\n\r\n"
    for framing in (
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding : chunked\r\n", b"Content-Length: 0\r\nContent-Length: 44\r\n", b"Content-Length: +5\r\n",
    ):  # fmt: skip
        answer = gateway.raw(
            b"POST /v1/images HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n0\r\n\r\n" + inner, patience=5
        )
        assert b'"counts"' not in answer, framing
