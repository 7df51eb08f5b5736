"""Limits of rates over HTTP: who is refused with what, from which address, and what stays usable."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.contract.gateway.running import PIXEL, Running, emptied, problem, running, wired
from workers.gateway.api_keys import Scope

ADMIN = "an-admin-key-of-tests"
TOKEN = "a-token-of-senders"  # noqa: S105 -- opens nothing but the gateway of these tests
GUESSES = 4


@pytest.fixture
def proxied(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway behind a proxy that it trusts, with few guesses."""
    wiring = wired(
        tmp_path_factory.mktemp("home"), redis_url, key_required=True, admin_key=ADMIN, webhook_token=TOKEN,
        guesses_per_minute=GUESSES, trusted_proxies="127.0.0.1",
    )  # fmt: skip
    with running(wiring) as gateway:
        emptied(gateway)
        yield gateway


def of(client: str, shown: str = "") -> dict[str, str]:
    """The headers of a request that the proxy forwards for a client."""
    return {"X-Forwarded-For": client, **({"Authorization": f"Bearer {shown}"} if shown else {})}


def test_whoever_guesses_is_refused_and_nobody_else(proxied: Running) -> None:
    ask = proxied.http
    bad, good = "192.0.2.1", "192.0.2.2"
    key = proxied.wiring.api_keys.create("user", Scope.READ)
    assert ask.get("/v1/tags", headers=of(bad, key)).status_code == 200
    guesses = [
        ask.get("/v1/tags", headers=of(bad, "wrong")),
        ask.post("/v1/session", json={"key": "wrong too"}, headers=of(bad)),
        ask.post("/v1/uploads/" + "0" * 48, content=PIXEL, headers=of(bad)),
        ask.post("/v1/events/minio", json={}, headers=of(bad, "no token")),
    ]
    assert [one.status_code for one in guesses] == [401, 401, 404, 401]
    refused = [
        ask.get("/v1/tags", headers=of(bad, "another")),
        ask.get("/v1/tags", headers={**of(bad), "Cookie": f"wildtag_session_{proxied.port}=x"}),
        ask.post("/v1/session", json={"key": "another"}, headers=of(bad)),
        ask.post("/v1/uploads/" + "1" * 48, content=PIXEL, headers=of(bad)),
        ask.post("/v1/events/minio", json={}, headers=of(bad, "another token")),
    ]
    assert [(one.status_code, problem(one)) for one in refused] == [(429, "too-many")] * len(refused)
    assert all(0 < int(one.headers["retry-after"]) <= 60 / GUESSES for one in refused)
    assert refused[0].headers["ratelimit-policy"] == f'"guesses";q={GUESSES};w=60'
    # what is open to all, what is known, and others
    for path in ("/", "/main.js", "/healthz", "/readyz", "/openapi.json", "/docs"):
        assert ask.get(path, headers=of(bad)).status_code == 200, path
    assert ask.get("/v1/tags", headers=of(bad)).status_code == 401  # presents nothing, so guesses nothing
    assert ask.get("/v1/tags", headers=of(bad, key)).status_code == 200
    assert ask.post("/v1/events/minio", json={}, headers=of(bad, TOKEN)).status_code in {200, 202}
    assert ask.get("/v1/tags", headers=of(good, "another")).status_code == 401
    scraped = ask.get("/metrics", headers=of(good, key)).text
    assert 'wildtag_http_refused_total{reason="rate-guesses"}' in scraped


def test_who_is_not_trusted_cannot_choose_an_address(
    redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home")
    wiring = wired(home, redis_url, key_required=True, admin_key=ADMIN, guesses_per_minute=1)
    with running(wiring) as gateway:
        statuses = [
            gateway.http.get("/v1/tags", headers=of(f"192.0.2.{number}", f"wrong {number}")).status_code
            for number in range(4)
        ]
    assert statuses == [401, 429, 429, 429]


def test_a_key_has_requests_and_fewer_expensive_ones(
    redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home")
    wiring = wired(home, redis_url, key_required=True, admin_key=ADMIN, request_rate=0.1, expensive_rate=0.01)
    with running(wiring) as gateway, httpx.Client(base_url=gateway.url) as client:
        emptied(gateway)
        client.headers["Authorization"] = f"Bearer {ADMIN}"
        assert client.get("/v1/tags").headers["ratelimit"] == '"requests";r=0;t=10'
        assert client.get("/v1/tags").status_code == 429
        client.headers["Authorization"] = f"Bearer {gateway.wiring.api_keys.create('other', Scope.READ)}"
        assert client.get("/v1/search?q=").headers["ratelimit-policy"] == '"requests";q=1;w=10, "expensive";q=1;w=100'
        refused = client.get("/v1/search?q=cat")
        assert (refused.status_code, problem(refused)) == (429, "too-many")
        assert client.get("/metrics").status_code == 200
        assert client.get("/metrics").status_code == 200
