"""Who gets in: keys and their scopes, the page's cookie, and what pages of other sites may not do."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.contract.gateway.running import PIXEL, Running, emptied, problem, running, wired
from tests.eventually import eventually
from vectordb.errors import Permanent
from workers.gateway.access import BELIEVED_S
from workers.gateway.api_keys import Scope
from workers.redis.connection import connect
from workers.settings.settings import Settings
from workers.wiring.gateway import options
from workers.wiring.wiring import Wiring

ADMIN = "an-admin-key-of-tests"
OPEN = ["/healthz", "/readyz", "/", "/openapi.json"]
READING = ["/v1/status", "/v1/tags", "/v1/objects", "/metrics", "/v1/images/" + "0" * 32, "/v1/feed", "/v1/batches/x"]
TOKEN = "a-token-of-tests"  # noqa: S105 -- opens nothing but the gateway of these tests


@pytest.fixture(scope="module")
def locked_module(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    wiring = wired(tmp_path_factory.mktemp("home"), redis_url, key_required=True, admin_key=ADMIN)
    with running(wiring, cors_origins=("https://pages.example",)) as gateway:
        yield gateway


@pytest.fixture
def locked(locked_module: Running) -> Running:
    """A gateway that asks for keys."""
    emptied(locked_module)
    return locked_module


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def statuses(gateway: Running, headers: dict[str, str]) -> list[int]:
    """Of a read, a write (an upload) and a change, with these headers."""
    read = gateway.http.get("/v1/status", headers=headers)
    write = gateway.http.post("/v1/images", content=PIXEL, headers=headers)
    change = gateway.http.delete("/v1/images/" + "0" * 32, headers=headers)
    return [answer.status_code for answer in (read, write, change)]


@pytest.mark.parametrize("path", READING)
def test_without_a_key_nothing_is_told(locked: Running, path: str) -> None:
    answer = locked.http.get(path)
    assert (answer.status_code, problem(answer)) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", OPEN)
def test_that_it_lives_is_no_secret(locked: Running, path: str) -> None:
    assert locked.http.get(path).status_code == 200


@pytest.mark.parametrize(
    ("scope", "expected"),
    [(Scope.READ, [200, 403, 403]), (Scope.WRITE, [200, 202, 404]), (Scope.ADMIN, [200, 202, 404])],
)
def test_a_key_allows_what_its_scope_says(locked: Running, scope: Scope, expected: list[int]) -> None:
    assert statuses(locked, bearer(locked.wiring.api_keys.create("k", scope))) == expected


def test_the_key_of_the_settings_allows_everything(locked: Running) -> None:
    assert statuses(locked, bearer(ADMIN)) == [200, 202, 404]


@pytest.mark.parametrize(
    "shown",
    ["Bearer", "Bearer wrong", f"Bearer {ADMIN}x", f"Bearer {ADMIN.upper()}", f"Basic {ADMIN}", ADMIN,
     "Bearer wt_000000000000_" + "0" * 48, "Bearer \xe9\xff"],
)  # fmt: skip
def test_what_is_no_key_opens_nothing(locked: Running, shown: str) -> None:
    for path in READING:
        answer = locked.http.get(path, headers=[(b"Authorization", shown.encode("latin-1"))])
        assert (answer.status_code, problem(answer)) == (401, "unauthorized")
    answer = locked.http.post("/v1/images", content=PIXEL, headers=[(b"Authorization", shown.encode("latin-1"))])
    assert answer.status_code == 401
    assert locked.stored() == []


def test_a_key_that_is_taken_back_works_for_seconds_at_the_most(locked: Running) -> None:
    key = locked.wiring.api_keys.create("k", Scope.READ)
    assert locked.http.get("/v1/status", headers=bearer(key)).status_code == 200
    locked.wiring.api_keys.remove("k")
    eventually(lambda: locked.http.get("/v1/status", headers=bearer(key)).status_code == 401, BELIEVED_S + 3)


def test_a_page_signs_in_and_out(locked: Running) -> None:
    key = locked.wiring.api_keys.create("k", Scope.WRITE)
    with httpx.Client(base_url=locked.url) as page:
        assert page.get("/v1/status").status_code == 401
        assert page.post("/v1/session", json={"key": "wrong"}).status_code == 401
        assert page.post("/v1/session", json={"key": "größe"}).status_code == 401
        answer = page.post("/v1/session", json={"key": key}, headers={"Origin": locked.url})
        assert answer.status_code == 204
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert page.get("/v1/status").status_code == 200
        assert page.post("/v1/images", content=PIXEL, headers={"Origin": locked.url}).status_code == 202
        assert page.delete("/v1/session").status_code == 204
        assert page.get("/v1/status").status_code == 401


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://[", "x", ""])
def test_pages_of_other_sites_change_nothing(locked: Running, gateway: Running, origin: str) -> None:
    headers = {"Origin": origin}
    refused = gateway.http.post("/v1/images", content=PIXEL, headers=headers)
    assert (refused.status_code, problem(refused)) == (403, "forbidden")
    assert gateway.stored() == []
    with httpx.Client(base_url=locked.url, headers={"Cookie": locked.signed_in(ADMIN)}) as page:
        assert page.post("/v1/images", content=PIXEL, headers=headers).status_code == 403
        assert page.post("/v1/session", json={"key": ADMIN}, headers=headers).status_code == 403
        assert page.post("/v1/images", content=PIXEL, headers=headers | bearer(ADMIN)).status_code == 202


def test_our_own_page_may_change_things(gateway: Running) -> None:
    assert gateway.http.post("/v1/images", content=PIXEL, headers={"Origin": gateway.url}).status_code == 202


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[", "8.8.8.8"])
def test_another_name_for_the_loopback_address_is_refused(gateway: Running, host: str) -> None:
    """A page whose name was made to lead here (DNS rebinding) sends its own name."""
    for path in READING:
        status, body = gateway.get(path, {"Host": host})
        assert (status, body["type"]) == (403, "urn:wildtag:problem:forbidden")


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1", "127.0.0.2:99", "[::1]", "[::1]:8080"])
def test_the_names_of_this_machine_are_answered(gateway: Running, host: str) -> None:
    assert gateway.get("/v1/status", {"Host": host})[0] == 200


def test_with_a_key_any_name_is_answered(locked: Running) -> None:
    assert locked.get("/v1/status", {"Host": "tags.example", **bearer(ADMIN)})[0] == 200


def test_other_origins_are_told_nothing_unless_they_are_named(gateway: Running, locked: Running) -> None:
    asking = {"Origin": "https://pages.example", "Access-Control-Request-Method": "POST"}
    assert not [name for name in gateway.http.get("/v1/tags", headers=asking).headers if "access-control" in name]
    assert "access-control-allow-origin" not in gateway.http.options("/v1/images", headers=asking).headers
    allowed = locked.http.options("/v1/images", headers=asking)
    assert allowed.headers["access-control-allow-origin"] == "https://pages.example"
    answer = locked.http.get("/v1/tags", headers=asking | bearer(ADMIN))
    assert answer.headers["access-control-allow-origin"] == "https://pages.example"
    assert "access-control-allow-credentials" not in answer.headers
    other = locked.http.get("/v1/tags", headers={"Origin": "https://other.example", **bearer(ADMIN)})
    assert "access-control-allow-origin" not in other.headers


def test_a_caller_gets_so_many_requests_a_second(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")
    wiring = wired(home, redis_url, key_required=True, admin_key=ADMIN, request_rate=0.05)
    with running(wiring) as gateway:
        other = gateway.wiring.api_keys.create("other", Scope.READ)
        assert gateway.http.get("/v1/tags", headers=bearer(ADMIN)).status_code == 200
        refused = gateway.http.get("/v1/tags", headers=bearer(ADMIN))
        assert (refused.status_code, problem(refused)) == (429, "too-many")
        assert 10 < int(refused.headers["retry-after"]) <= 21
        assert gateway.http.get("/v1/tags", headers=bearer(other)).status_code == 200
        assert gateway.http.get("/healthz").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gateway.example"])  # noqa: S104 -- refused, or locked
def test_it_listens_to_other_machines_only_with_keys_and_a_token(tmp_path: object, redis_url: str, host: str) -> None:
    connect(redis_url).flushall()

    def chosen(**settings: object) -> bool:
        given = Settings(home=tmp_path, redis_url=redis_url, gateway_host=host, **settings)  # type: ignore[arg-type]  # a test names what it gives
        return options(Wiring(given)).open

    with pytest.raises(Permanent, match="no API key"):
        chosen(webhook_token=TOKEN)
    with pytest.raises(Permanent, match="WILDTAG_WEBHOOK_TOKEN"):
        chosen(admin_key=ADMIN)
    with pytest.raises(Permanent, match="WILDTAG_KEY_REQUIRED is false"):
        chosen(admin_key=ADMIN, webhook_token=TOKEN, key_required=False)
    assert not chosen(admin_key=ADMIN, webhook_token=TOKEN)


def test_old_and_new_keys_are_accepted_while_they_are_replaced(redis_url: str) -> None:
    old, new = "o" * 20, "n" * 20
    settings = Settings(redis_url=redis_url, admin_key=f"{new},{old}", webhook_token=f"{new},{old}")
    chosen = options(Wiring(settings))
    assert {old, new} <= set(chosen.admin_keys)
    assert chosen.tokens == (new, old)
