"""Requests through a proxy: which headers are believed, whose rights they have, and the path below which they are."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from structlog.testing import capture_logs

from tests.contract.gateway.running import PIXEL, Running, problem, running, status_of, wired
from tests.contract.gateway.test_access import ADMIN as KEY
from tests.unit.monitoring.test_exporter import got
from vectordb.errors import Permanent
from workers.gateway.app import create_app
from workers.gateway.home_key import create_home_key
from workers.processes.measuring import serve_gateway_metrics
from workers.settings.settings import Settings
from workers.wiring.gateway import options, services

BEARER = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def published(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway below a path, behind a proxy on this machine."""
    wiring = wired(
        tmp_path_factory.mktemp("home"), redis_url, root_path="/tags", trusted_proxies=("127.0.0.1",), admin_key=KEY
    )
    with running(wiring) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def unnamed(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway that is open on this machine and names no proxy."""
    with running(wired(tmp_path_factory.mktemp("home"), redis_url, admin_key=KEY)) as gateway:
        yield gateway


@pytest.mark.parametrize("prefix", ["", "/tags"])
def test_a_path_is_served_with_and_without_the_root_path(published: Running, prefix: str) -> None:
    answer = published.http.post(f"{prefix}/v1/images", content=PIXEL, headers=BEARER)
    assert answer.status_code == 202, answer.text
    place = answer.headers["location"]
    assert place == f"/tags/v1/images/{answer.json()['id']}"
    assert published.http.get(place, headers=BEARER).status_code == 200
    assert published.http.get(place.removeprefix("/tags"), headers=BEARER).status_code == 200


@pytest.mark.parametrize("path", ["/tagsv1/images", "/tag/v1/images", "/TAGS/v1/objects", "/other/tags/v1/objects"])
def test_other_paths_are_not_found(published: Running, path: str) -> None:
    assert published.http.get(path, headers=BEARER).status_code == 404


def test_the_root_path_leads_to_the_page(published: Running) -> None:
    answer = published.http.get("/tags?x=1")
    assert (answer.status_code, answer.headers["location"]) == (308, "/tags/?x=1")
    page = published.http.get("/tags/").text
    assert 'src="main.js"' in page
    assert 'href="/' not in page  # every address is relative
    assert published.http.get("/tags/main.js").status_code == 200
    assert published.http.get("/tags/docs").status_code == 200
    assert published.http.get("/tags/docs/files/swagger-ui.css").status_code == 200


def test_the_api_document_names_the_path(published: Running, unnamed: Running) -> None:
    for gateway, document, server in ((published, "/tags/openapi.json", "/tags"), (unnamed, "/openapi.json", "/")):
        assert [one["url"] for one in gateway.http.get(document).json()["servers"]] == [server]


def test_believed_headers_decide_about_the_host_and_tls(published: Running) -> None:
    headers = {
        "X-Forwarded-Host": "host.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9",
        "Origin": "https://host.example",
    }  # fmt: skip
    answer = published.http.post("/tags/v1/session", json={"key": KEY}, headers=headers)
    assert answer.status_code == 204, answer.text
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("wildtag_session_443.tags=")
    assert "Path=/tags/;" in cookie
    assert "Secure" in cookie
    form = published.http.post(
        "/v1/uploads", json={"content_type": "image/png"}, headers={**headers, **BEARER}
    ).json()  # fmt: skip
    assert form["url"].startswith("https://host.example/tags/v1/uploads/")


def test_headers_of_a_sender_that_is_not_named_are_not_believed(unnamed: Running) -> None:
    headers = {
        "X-Forwarded-Host": "host.example", "X-Forwarded-Proto": "https", "Origin": "https://host.example"
    }  # fmt: skip
    answer = unnamed.http.post("/v1/session", json={"key": KEY}, headers=headers)
    assert problem(answer) == "forbidden"
    assert "WILDTAG_TRUSTED_PROXIES" in answer.json()["detail"]
    form = unnamed.http.post(
        "/v1/uploads", json={"content_type": "image/png"}, headers={"X-Forwarded-Host": "host.example", **BEARER}
    ).json()  # fmt: skip
    assert form["url"].startswith(unnamed.url)


@pytest.mark.parametrize("host", ["host.example/x", "a b", "host.example:port", "", ",", "x" * 300])
def test_a_host_that_is_none_is_not_believed(published: Running, host: str) -> None:
    form = published.http.post(
        "/v1/uploads", json={"content_type": "image/png"}, headers={"X-Forwarded-Host": host, **BEARER}
    ).json()  # fmt: skip
    assert form["url"].startswith(f"{published.url}/tags/")


def test_every_request_needs_a_key_where_a_proxy_is_named(published: Running) -> None:
    for path in ("/v1/objects", "/tags/v1/objects"):
        assert problem(published.http.get(path)) == "unauthorized"
    assert published.http.post("/v1/events/minio", json={}).status_code == 401
    assert published.http.get("/tags/healthz").status_code == 200


@pytest.mark.parametrize("line", [
    "GET /v1/objects HTTP/1.0\r\nHost: HERE", "GET /v1/objects HTTP/1.1\r\nHost: HERE\r\nX-Forwarded-For: 10.0.0.1",
    "GET /v1/objects HTTP/1.1\r\nHost: HERE\r\nVia: 1.1 x",
    "GET /v1/objects HTTP/1.1\r\nHost: HERE\r\nX-Scheme: https",
    "GET /v1/objects HTTP/1.1\r\nHost: HERE\r\nX-Forwarded-Prefix: /tags",
])  # fmt: skip
def test_a_proxy_that_is_not_named_gives_no_rights_of_this_machine(unnamed: Running, line: str) -> None:
    request = line.replace("HERE", f"127.0.0.1:{unnamed.port}")
    answer = unnamed.raw(f"{request}\r\nConnection: close\r\n\r\n".encode())
    assert status_of(answer) == 401
    assert "a proxy forwarded this request" in json.loads(answer.partition(b"\r\n\r\n")[2])["detail"]
    shown = unnamed.raw(f"{request}\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n\r\n".encode())
    assert status_of(shown) == 200


def test_another_host_name_gives_no_rights_of_this_machine(unnamed: Running) -> None:
    assert unnamed.get("/v1/objects", {"Host": "host.example"})[0] == 403
    assert unnamed.get("/v1/objects")[0] == 200


def test_a_webhook_through_an_unnamed_proxy_needs_the_token(unnamed: Running) -> None:
    head = f"POST /v1/events/minio HTTP/1.0\r\nHost: 127.0.0.1:{unnamed.port}\r\nContent-Length: 2\r\n\r\n{{}}"
    assert status_of(unnamed.raw(head.encode())) == 401


def test_two_gateways_of_one_host_have_cookies_of_their_own(published: Running) -> None:
    other = "wildtag_session_443=admin.1234567890.0"
    headers = {"X-Forwarded-Host": "host.example", "X-Forwarded-Proto": "https"}
    answer = published.http.post("/tags/v1/session", json={"key": KEY}, headers=headers)
    own = answer.headers["set-cookie"].partition(";")[0]
    with httpx.Client(base_url=published.url) as fresh:
        assert fresh.get("/tags/v1/objects", headers={**headers, "Cookie": f"{other}; {own}"}).status_code == 200
        assert fresh.get("/tags/v1/objects", headers={**headers, "Cookie": other}).status_code == 401


def test_the_page_can_be_used_without_the_proxy_as_well(published: Running) -> None:
    answer = published.http.post("/v1/session", json={"key": KEY})
    cookie = answer.headers["set-cookie"]
    assert "Path=/;" in cookie
    own = cookie.partition(";")[0]
    assert published.http.get("/v1/objects", headers={"Cookie": own}).status_code == 200


@pytest.mark.parametrize(("given", "path"), [
    ("/tags", "/tags"), ("tags/", "/tags"), ("/a/b.c~d_e-f", "/a/b.c~d_e-f"), ("/", None), ("", None),
])  # fmt: skip
def test_the_root_path_is_given_with_or_without_slashes(given: str, path: str | None) -> None:
    assert Settings(root_path=given).root_path == path


@pytest.mark.parametrize("given", ["/v1", "/docs/x", "/a b", "/a//b", "/../x", "https://host/tags", "/tags?x", "/ä"])
def test_what_is_no_root_path_is_refused(given: str) -> None:
    with pytest.raises(ValidationError):
        Settings(root_path=given)


@pytest.mark.parametrize("given", ["*", "host.example", "10.0.0.1/8", "10.0.0.0/33", "127.0.0.1:80"])
def test_what_is_no_network_is_refused(given: str) -> None:
    with pytest.raises(ValidationError, match="not an address or a network"):
        Settings(trusted_proxies=(given,))


@pytest.mark.parametrize("named", [{"root_path": "/tags"}, {"trusted_proxies": ("127.0.0.1",)}])
def test_a_gateway_behind_a_proxy_requires_keys_unless_told_otherwise(
    redis_url: str, tmp_path: Path, named: dict[str, Any]
) -> None:
    with pytest.raises(Permanent, match="there is no API key"):
        options(wired(tmp_path, redis_url, **named))
    create_home_key(tmp_path)
    assert not options(wired(tmp_path, redis_url, **named)).open
    assert options(wired(tmp_path, redis_url, key_required=False, **named)).open


def test_metrics_can_be_scraped_without_a_key_at_a_port_of_their_own(redis_url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    wiring = wired(tmp_path, redis_url, root_path="/tags", admin_key=KEY, gateway_metrics_port=port)
    chosen = options(wiring)
    assert not chosen.open
    app = create_app(services(wiring), chosen)
    serve_gateway_metrics(wiring.settings, app.state.metrics, open_=chosen.open)
    status, text = got(port)
    assert status == 200
    assert "wildtag_objects" in text
    assert got(port, "/v1/status")[0] == 404
    with pytest.raises(Permanent, match=r"WILDTAG_GATEWAY_METRICS_PORT: port .* is in use"):
        serve_gateway_metrics(wiring.settings, app.state.metrics, open_=chosen.open)


@pytest.mark.parametrize(("named", "said"), [({"root_path": "/tags"}, 1), ({}, 0), ({"key_required": True}, 0)])
def test_that_scrapes_need_a_key_is_said(redis_url: str, tmp_path: Path, named: dict[str, Any], said: int) -> None:
    wiring = wired(tmp_path, redis_url, admin_key=KEY, **named)
    with capture_logs() as logs:
        serve_gateway_metrics(wiring.settings, CollectorRegistry(), open_=options(wiring).open)
    assert len(logs) == said
