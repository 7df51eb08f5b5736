"""Sessions of the page over a real Redis: no API key leaves the gateway, and a session ends when it must."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.contract.gateway.running import Running, running, wired
from tests.eventually import eventually
from workers.gateway.access import BELIEVED_S
from workers.gateway.api_keys import ApiKeys, Scope
from workers.gateway.sessions import ADMIN, IDLE_S, LONGEST_S, MOST, Sessions
from workers.gateway.sign_in import OLD_COOKIE
from workers.redis.connection import Client
from workers.redis.keys import Keys

KEY = "the-admin-key-of-the-settings"
ADMIN_ROUTE = "/v1/webhooks/dead"


class Time:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def sessions(client: Client, keys: Keys, clock: Time) -> Sessions:
    return Sessions(client, keys, clock)


@pytest.fixture(scope="module")
def locked_module(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    wiring = wired(tmp_path_factory.mktemp("home"), redis_url, key_required=True, admin_key=KEY)
    with running(wiring) as gateway:
        yield gateway


@pytest.fixture
def locked(locked_module: Running) -> Running:
    """A gateway that asks for keys."""
    locked_module.wiring.redis.flushall()
    return locked_module


def status(gateway: Running, cookie: str, path: str = "/v1/status") -> int:
    return httpx.get(f"{gateway.url}{path}", headers={"Cookie": cookie}).status_code


def test_a_session_lasts_while_it_is_used_and_a_month_at_most(sessions: Sessions, clock: Time) -> None:
    shown, began = sessions.create("0" * 12), clock.now
    while clock.now - began < LONGEST_S - IDLE_S / 2:
        assert sessions.known(shown)
        clock.now += IDLE_S / 2
    clock.now = began + LONGEST_S
    assert not sessions.known(shown)


def test_a_session_that_is_not_used_ends(sessions: Sessions, client: Client, keys: Keys, clock: Time) -> None:
    shown = sessions.create("0" * 12)
    assert 0 < client.ttl(keys.page_sessions("0" * 12)) <= IDLE_S
    clock.now += IDLE_S
    assert not sessions.known(shown)


def test_nothing_of_the_secret_is_in_redis(sessions: Sessions, client: Client, keys: Keys) -> None:
    secret = sessions.create("0" * 12).rpartition(".")[2]
    assert [name.decode() for name in client.scan_iter()] == [keys.page_sessions("0" * 12)]
    (kept,) = client.zrange(keys.page_sessions("0" * 12), 0, -1)
    assert not any(secret[at : at + 8].encode() in kept for at in range(len(secret) - 7))


@pytest.mark.parametrize("change", [
    lambda shown: shown[:-1] + ("0" if shown[-1] != "0" else "1"),
    lambda shown: shown.replace(".18", ".19"),  # issued later
    lambda shown: ADMIN + shown[12:],
    lambda shown: "1" + shown[1:],
    lambda shown: shown + "\n",
    lambda shown: shown.upper(),
    lambda shown: shown[:0],
    lambda shown: shown + "\udcff\x00",
])  # fmt: skip
def test_what_was_changed_is_no_session(sessions: Sessions, change: object) -> None:
    shown = sessions.create("0" * 11 + "a")
    assert sessions.known(shown)
    assert not sessions.known(change(shown))  # type: ignore[operator]  # a lambda


def test_a_session_of_an_admin_key_ends_with_that_key(sessions: Sessions) -> None:
    shown = sessions.create(ADMIN, b"one")
    assert sessions.known(shown, b"one")
    assert not sessions.known(shown, b"another")


def test_a_key_has_a_limited_number_of_sessions(sessions: Sessions, client: Client, keys: Keys, clock: Time) -> None:
    first = sessions.create("0" * 12)
    for _ in range(MOST):
        clock.now += 1
        last = sessions.create("0" * 12)
    assert client.zcard(keys.page_sessions("0" * 12)) == MOST
    assert (sessions.known(first), sessions.known(last)) == (False, True)


def test_a_removed_key_leaves_no_session(client: Client, keys: Keys, sessions: Sessions) -> None:
    api_keys = ApiKeys(client, keys)
    api_keys.create("page", Scope.READ)
    (key,) = api_keys.list()
    shown = sessions.create(key.id)
    assert api_keys.remove("page")
    assert not sessions.known(shown)
    assert client.exists(keys.page_sessions(key.id)) == 0


@pytest.mark.parametrize("scope", [None, *Scope])
def test_the_cookie_is_no_key_and_has_the_scope_of_the_key(locked: Running, scope: Scope | None) -> None:
    key = KEY if scope is None else locked.wiring.api_keys.create("page", scope)
    cookie = locked.signed_in(key)
    name, _, shown = cookie.partition("=")
    assert name == f"wildtag_session_{locked.port}"
    assert not any(part in shown for part in (key, key.rpartition("_")[2]))
    assert httpx.get(f"{locked.url}/v1/status", headers={"Authorization": f"Bearer {shown}"}).status_code == 401
    assert status(locked, cookie) == 200
    assert status(locked, cookie, ADMIN_ROUTE) == (200 if scope in {None, Scope.ADMIN} else 403)
    for other in (f"{name}={key}", f"{OLD_COOKIE}={key}", f"wildtag_session_1={shown}"):
        assert status(locked, other) == 401


def test_signing_out_ends_the_session_also_for_who_copied_its_cookie(locked: Running) -> None:
    cookie = locked.signed_in(KEY)
    other = locked.signed_in(KEY)
    assert status(locked, cookie) == 200
    assert httpx.delete(f"{locked.url}/v1/session", headers={"Cookie": cookie}).status_code == 204
    assert (status(locked, cookie), status(locked, other)) == (401, 200)


def test_signing_in_again_ends_the_session_before(locked: Running) -> None:
    cookie = locked.signed_in(KEY)
    again = httpx.post(f"{locked.url}/v1/session", json={"key": KEY}, headers={"Cookie": cookie})
    assert again.status_code == 204
    assert status(locked, cookie) == 401


def test_a_wrong_key_leaves_the_session(locked: Running) -> None:
    cookie = locked.signed_in(KEY)
    wrong = httpx.post(f"{locked.url}/v1/session", json={"key": "wrong"}, headers={"Cookie": cookie})
    assert (wrong.status_code, "set-cookie" in wrong.headers) == (401, False)
    assert status(locked, cookie) == 200


def test_after_a_loss_of_redis_one_signs_in_again(locked: Running) -> None:
    cookie = locked.signed_in(KEY)
    assert status(locked, cookie) == 200
    locked.wiring.redis.flushall()
    eventually(lambda: status(locked, cookie) == 401, BELIEVED_S + 3)
    assert status(locked, locked.signed_in(KEY)) == 200


def test_a_removed_key_ends_its_sessions(locked: Running) -> None:
    cookie = locked.signed_in(locked.wiring.api_keys.create("page", Scope.READ))
    assert status(locked, cookie) == 200
    locked.wiring.api_keys.remove("page")
    eventually(lambda: status(locked, cookie) == 401, BELIEVED_S + 3)


def test_the_cookie_is_secure_over_https_also_behind_a_proxy(locked: Running) -> None:
    plain = httpx.post(f"{locked.url}/v1/session", json={"key": KEY}, headers={"Origin": locked.url})
    proxied = {"Origin": "https://tags.example", "Host": "tags.example"}
    secure = httpx.post(f"{locked.url}/v1/session", json={"key": KEY}, headers=proxied)
    first = [answer.headers.get_list("set-cookie")[0].lower() for answer in (plain, secure)]
    assert ["secure" in cookie for cookie in first] == [False, True]
    assert all("httponly" in cookie and "samesite=strict" in cookie for cookie in first)


def test_the_page_deletes_the_cookie_of_earlier_versions(locked: Running) -> None:
    with httpx.Client(base_url=locked.url, cookies={OLD_COOKIE: KEY}) as page:
        deleted = page.get("/").headers["set-cookie"]
        assert deleted.startswith(f'{OLD_COOKIE}=""')
        assert "max-age=0" in deleted.lower()
    assert "set-cookie" not in httpx.get(f"{locked.url}/").headers


def test_stacks_on_two_ports_keep_their_sessions(locked: Running, redis_url: str, tmp_path: Path) -> None:
    with (
        running(wired(tmp_path, redis_url, key_required=True, admin_key=KEY, key_prefix="other:")) as other,
        httpx.Client() as browser,
    ):
        for stack in (locked, other):
            assert browser.post(f"{stack.url}/v1/session", json={"key": KEY}).status_code == 204
        assert [browser.get(f"{stack.url}/v1/status").status_code for stack in (locked, other)] == [200, 200]
