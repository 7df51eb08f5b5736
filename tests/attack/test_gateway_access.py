"""Access to the gateway: proxies, other headers, removed keys, the key of the home, and what strangers are told."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.attack.gateway_process import ADMIN, attacked
from tests.contract.gateway.running import PIXEL, Running, emptied, png, problem, running, wired
from tests.contract.own_redis import OwnRedis
from tests.eventually import eventually
from vectordb.errors import Permanent
from workers.gateway.access import BELIEVED_S
from workers.gateway.api_keys import Scope
from workers.gateway.behind_proxy import FORWARDED
from workers.gateway.home_key import FILE, create_home_key, read_home_key
from workers.settings.settings import Settings
from workers.wiring.gateway import options
from workers.wiring.wiring import Wiring

RECHECK_S = 1.0
ADMIN_ROUTE = "/v1/webhooks/dead"


@pytest.fixture(scope="module")
def open_module(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("home")
    create_home_key(home)
    with running(wired(home, redis_url)) as gateway:
        yield gateway


@pytest.fixture
def gateway(open_module: Running) -> Running:
    """A gateway on the loopback address, without keys but that of its home."""
    emptied(open_module)
    return open_module


@pytest.fixture(scope="module")
def locked(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway that asks for keys and checks them again every second."""
    wiring = wired(tmp_path_factory.mktemp("home"), redis_url, key_required=True, admin_key=ADMIN)
    wiring.redis.flushall()
    with running(wiring, recheck_s=RECHECK_S, ping_s=RECHECK_S) as gateway:
        yield gateway


@pytest.mark.parametrize("shown", ["Basic dXNlcjpwYXNz", "Bearer", "Digest x", "Negotiate abc", "x", "Bearer\tx"])
def test_the_header_of_a_proxy_does_not_switch_the_origin_check_off(gateway: Running, shown: str) -> None:
    headers = {"Origin": "https://evil.example", "Authorization": shown}
    for method, path in (("POST", "/v1/images"), ("DELETE", "/v1/images/" + "0" * 32), ("POST", "/v1/batches")):
        answer = gateway.http.request(method, path, content=PIXEL, headers=headers)
        assert answer.status_code in {401, 403}, (method, path)
    assert gateway.stored() == []


def test_nor_does_it_beside_the_cookie_of_the_page(locked: Running) -> None:
    headers = {"Origin": "https://evil.example", "Authorization": "Basic dXNlcjpwYXNz"}
    with httpx.Client(base_url=locked.url, headers={"Cookie": locked.signed_in(ADMIN)}) as page:
        assert page.post("/v1/images", content=PIXEL, headers=headers).status_code == 403
        assert page.post("/v1/images", content=PIXEL, headers={**headers, "Origin": locked.url}).status_code == 202
        assert page.delete("/v1/session", headers=headers).status_code == 403


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 202),
                                              ("none", 202)])  # fmt: skip
def test_a_browser_that_tells_the_site_and_no_origin_is_believed(gateway: Running, site: str, status: int) -> None:
    answer = gateway.http.post("/v1/images", content=PIXEL, headers={"Sec-Fetch-Site": site})
    assert answer.status_code == status
    own = {"Sec-Fetch-Site": site, "Origin": gateway.url}
    assert gateway.http.post("/v1/images", content=PIXEL, headers=own).status_code == 202


@pytest.mark.parametrize(
    "header",
    [
        *sorted(FORWARDED),
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Whatever",
        "CF-Ray",
        "X-Envoy-Internal",
        "X-Auth-Request-User",
        "Ngrok-Trace-Id",
    ],
)
@pytest.mark.parametrize("value", ["127.0.0.1", ""])
def test_what_a_proxy_forwards_needs_a_key(gateway: Running, header: str, value: str) -> None:
    headers = {header: value}
    for method, path in (("GET", "/v1/status"), ("POST", "/v1/images"), ("GET", "/metrics"), ("GET", "/v1/feed")):
        answer = gateway.http.request(method, path, headers=headers)
        assert (answer.status_code, problem(answer)) == (401, "unauthorized"), path
    notification = gateway.http.post("/v1/events/minio", json={}, headers=headers)
    assert notification.status_code == 401
    key = read_home_key(gateway.wiring.settings.home)
    assert gateway.http.get("/v1/status", headers={**headers, "Authorization": f"Bearer {key}"}).status_code == 200


def test_without_a_key_nobody_is_admin(gateway: Running) -> None:
    answer = gateway.http.get(ADMIN_ROUTE)
    assert (answer.status_code, problem(answer)) == (403, "forbidden")
    assert gateway.http.post(f"{ADMIN_ROUTE}/1-1:replay").status_code == 403
    assert gateway.http.post("/v1/images", content=PIXEL).status_code == 202


def test_the_key_of_the_home_is_admin_and_signs_the_page_in(gateway: Running) -> None:
    key = read_home_key(gateway.wiring.settings.home)
    assert key is not None
    assert gateway.http.get(ADMIN_ROUTE, headers={"Authorization": f"Bearer {key}"}).status_code == 200
    with httpx.Client(base_url=gateway.url) as page:
        assert page.post("/v1/session", json={"key": key}, headers={"Origin": gateway.url}).status_code == 204
        assert page.get(ADMIN_ROUTE).status_code == 200


@pytest.mark.parametrize(
    "shown",
    ["wh_" + "0" * 48, f"admin.{int(time.time())}.{'0' * 64}", "", "x" * 4000],
    ids=["key", "forged", "empty", "long"],  # processes that share the tests must find the same ones
)
def test_the_cookie_of_a_session_that_has_ended_locks_nobody_out(gateway: Running, shown: str) -> None:
    """The gateway would answer without a cookie, so it does with one it does not know."""
    with httpx.Client(base_url=gateway.url, cookies={f"wildtag_session_{gateway.port}": shown}) as page:
        assert page.get("/v1/status").status_code == 200
        assert page.get(ADMIN_ROUTE).status_code == 403


def test_the_key_of_the_home_is_in_a_file_that_only_its_user_reads(tmp_path: Path) -> None:
    key = create_home_key(tmp_path)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert create_home_key(tmp_path) == read_home_key(tmp_path) == key
    (tmp_path / FILE).chmod(0o644)
    assert read_home_key(tmp_path) is None
    renewed = create_home_key(tmp_path)
    assert renewed != key  # others may have read the first one
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_file_in_place_of_the_key_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("wh_" + "0" * 48)
    elsewhere.chmod(0o600)
    (tmp_path / FILE).symlink_to(elsewhere)
    assert read_home_key(tmp_path) is None
    create_home_key(tmp_path)
    assert elsewhere.read_text() == "wh_" + "0" * 48
    (tmp_path / FILE).unlink()
    os.mkfifo(tmp_path / FILE, 0o600)
    assert read_home_key(tmp_path) is None  # without waiting for a writer


@pytest.mark.parametrize("path", ["/v1/feed", "/v1/objects/inbox/{}.png:events", "/v1/objects/inbox/{}.png?wait=30"])
@pytest.mark.parametrize("by_cookie", [False, True], ids=["header", "cookie"])
def test_a_removed_key_loses_what_is_open(locked: Running, path: str, by_cookie: bool) -> None:
    ref = locked.put(f"{by_cookie}.png", png(path))  # emptying Redis would end a feed, too
    locked.enter(ref)
    key = locked.wiring.api_keys.create("leaver", Scope.READ)
    given = {"Cookie": locked.signed_in(key)} if by_cookie else {"Authorization": f"Bearer {key}"}
    ended, statuses = threading.Event(), []

    def listen() -> None:
        with httpx.stream("GET", f"{locked.url}{path.format(by_cookie)}", headers=given, timeout=40) as answer:
            statuses.append(answer.status_code)
            for _ in answer.iter_raw():
                pass
        ended.set()

    listener = threading.Thread(target=listen)
    listener.start()
    if "wait" not in path:
        eventually(lambda: statuses == [200])
        time.sleep(2 * RECHECK_S)  # it is checked again, and stays
        assert not ended.is_set()
    locked.wiring.api_keys.remove("leaver")
    if "wait" in path:
        time.sleep(3)  # longer than a removed key is believed
        locked.finish(ref, "secret")
    assert ended.wait(20)
    listener.join()
    assert statuses == ([401] if "wait" in path else [200])


def test_a_key_that_stays_keeps_its_stream(locked: Running) -> None:
    key = locked.wiring.api_keys.create("stays", Scope.READ)
    with httpx.stream(
        "GET", f"{locked.url}/v1/feed", headers={"Authorization": f"Bearer {key}"}, timeout=30
    ) as answer:
        comments = 0
        for line in answer.iter_lines():
            comments += line.startswith(":")
            if comments == 4:
                break


@pytest.mark.parametrize("seconds", [4.0, 10.0, 60.0])
def test_a_removed_key_is_noticed_within_the_seconds_that_are_set(tmp_path: Path, seconds: float) -> None:
    found = options(Wiring(Settings(home=tmp_path, recheck_access_s=seconds)))
    # the next message after a check may be a ping later
    assert BELIEVED_S + found.recheck_s + found.ping_s <= seconds
    with pytest.raises(ValueError, match="greater than or equal to 4"):
        Settings(recheck_access_s=3.9)


@pytest.mark.parametrize("origin", ["*", "null", " * ", "https://ok.example,*", "NULL"])
def test_every_site_is_let_in_only_where_keys_are_asked(tmp_path: Path, redis_url: str, origin: str) -> None:
    def opened(**more: object) -> bool:
        given = Settings(home=tmp_path, redis_url=redis_url, cors_origins=origin, **more)  # type: ignore[arg-type]  # a test names what it gives
        return options(Wiring(given)).open

    with pytest.raises((Permanent, ValueError), match=r"CORS_ORIGINS|is not an origin"):
        opened()
    if origin != "NULL":
        assert not opened(key_required=True, admin_key=ADMIN)


@pytest.mark.parametrize(
    "origin", ["example.org", "https://a.example/", "https://*.example", "https://a.example/x", "https://"]
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="is not an origin"):
        Settings(cors_origins=origin)


def test_strangers_are_told_names_and_states_only(tmp_path: Path) -> None:
    redis = OwnRedis()
    redis.start()
    try:
        with attacked(tmp_path, redis.url, key_required=True, admin_key=ADMIN) as gateway:
            ready = httpx.get(f"{gateway.url}/readyz", timeout=10)
            assert ready.json() == {
                "ready": True,
                "missing": {},
                "outages": [],
                "held_removals": [],
                "draining_since": None,
            }
            redis.kill()
            for headers in ({}, {"Authorization": "Bearer wt_000000000000_" + "0" * 48}):
                for path in ("/readyz", "/v1/status", "/v1/images/" + "0" * 32):
                    text = httpx.get(f"{gateway.url}{path}", headers=headers, timeout=20).text
                    assert "unix" not in text, path
                    assert ".sock" not in text, path
                    assert str(tmp_path) not in text, path
            tried = {"/v1/session": b'{"key": "wt_000000000000_0"}', f"/v1/uploads/{'0' * 48}": PIXEL}
            as_json = {"Content-Type": "application/json"}
            for path, content in tried.items():  # these need no key
                answer = httpx.post(f"{gateway.url}{path}", content=content, headers=as_json, timeout=20)
                assert problem(answer) == "unavailable", path
                assert not [word for word in ("unix", ".sock", str(tmp_path)) if word in answer.text], path
            body = httpx.get(f"{gateway.url}/readyz", timeout=10).json()
            assert body["missing"]["redis"].startswith("away")
            assert all(one["waiting"] is None and one["reason"].startswith("away since") for one in body["outages"])
            admin = {"Authorization": f"Bearer {ADMIN}"}
            known = httpx.get(f"{gateway.url}/readyz", headers=admin, timeout=10).json()
            assert "Redis" in known["missing"]["redis"]
    finally:
        redis.close()


def test_before_redis_is_there_strangers_are_told_no_address(tmp_path: Path) -> None:
    redis = OwnRedis()  # not started
    try:
        with attacked(tmp_path, redis.url, waiting=False) as gateway:
            url = gateway.url
            eventually(lambda: httpx.get(f"{url}/healthz", timeout=5).is_success, despite=(httpx.HTTPError,))
            for path in ("/readyz", "/v1/status"):
                answer = httpx.get(f"{url}{path}", timeout=10)
                assert answer.status_code == 503
                assert redis.url.rpartition("/")[0].removeprefix("unix://") not in answer.text
    finally:
        redis.close()
