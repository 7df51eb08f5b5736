"""API keys over a real Redis: known by whoever shows them, and not to be read from where they are kept."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests import warm
from vectordb.errors import Permanent
from workers.gateway.api_keys import ApiKey, ApiKeys, Scope
from workers.redis.connection import Client, StoreUnavailable, connect
from workers.redis.keys import Keys
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring


@pytest.fixture
def api_keys(client: Client, keys: Keys) -> ApiKeys:
    return ApiKeys(client, keys, clock=lambda: 100.0)


def found(api_keys: ApiKeys, presented: str) -> ApiKey:
    key = api_keys.look_up(presented)
    assert key is not None
    return key


def test_a_key_is_known_with_its_name_and_scope(api_keys: ApiKeys) -> None:
    presented = api_keys.create("camera", Scope.WRITE)
    key = found(api_keys, presented)
    assert (key.name, key.scope, key.created) == ("camera", Scope.WRITE, 100.0)
    assert presented.startswith(f"wt_{key.id}_")
    assert api_keys.list() == (key,)


def test_nothing_of_the_secret_is_in_redis(api_keys: ApiKeys, client: Client, keys: Keys) -> None:
    secret = api_keys.create("camera", Scope.READ).rpartition("_")[2]
    assert [name.decode() for name in client.scan_iter()] == [keys.api_keys]
    (kept,) = client.hgetall(keys.api_keys).values()
    assert len(secret) == 48
    assert not any(secret[at : at + 8].encode() in kept for at in range(len(secret) - 7))


def test_no_two_keys_are_alike(api_keys: ApiKeys) -> None:
    made = [api_keys.create(f"camera {number}", Scope.READ).split("_") for number in range(50)]
    assert len({key_id for _, key_id, _ in made}) == len({secret for _, _, secret in made}) == 50


@pytest.mark.parametrize("change", [
    lambda key: key[:-1] + ("0" if key[-1] != "0" else "1"),
    lambda key: key[:-1],
    lambda key: key + "0",
    lambda key: key.upper(),
    lambda key: " " + key,
    lambda key: key + "\n",
    lambda key: key.removeprefix("wt_"),
    lambda key: "wt_000000000000_" + key.rpartition("_")[2],
    lambda key: key.rpartition("_")[2],
    lambda key: key.rpartition("_")[0] + "_",
])  # fmt: skip
def test_what_is_nearly_a_key_is_none(api_keys: ApiKeys, change: object) -> None:
    assert callable(change)
    assert api_keys.look_up(change(api_keys.create("camera", Scope.ADMIN))) is None


@pytest.mark.parametrize("presented", ["", "-", "wt__", "é" * 64, "\udcff", "x" * 1_000_000, "-" * 64])
def test_whatever_is_presented_is_answered(api_keys: ApiKeys, presented: str) -> None:
    assert api_keys.look_up(presented) is None


def test_the_secret_of_another_key_opens_nothing(api_keys: ApiKeys) -> None:
    first, second = (api_keys.create(name, Scope.READ).rpartition("_") for name in ("one", "two"))
    assert api_keys.look_up(f"{first[0]}_{second[2]}") is None


def test_a_key_is_removed_by_name_or_id(api_keys: ApiKeys) -> None:
    by_name, by_id = api_keys.create("one", Scope.READ), api_keys.create("two", Scope.READ)
    assert api_keys.remove("one")
    assert api_keys.remove(found(api_keys, by_id).id)
    assert not api_keys.remove("one")
    assert api_keys.look_up(by_name) is api_keys.look_up(by_id) is None
    assert api_keys.list() == ()


def test_a_name_is_given_once(api_keys: ApiKeys) -> None:
    key = found(api_keys, api_keys.create("camera", Scope.READ))
    for taken in ("camera", key.id):
        with pytest.raises(Permanent, match="already"):
            api_keys.create(taken, Scope.READ)
    assert api_keys.list() == (key,)


@pytest.mark.parametrize("name", ["", " a", "a\nb", "\x1b[2J", "x" * 65])
def test_a_name_can_be_printed(api_keys: ApiKeys, name: str) -> None:
    with pytest.raises(Permanent, match="invalid key name"):
        api_keys.create(name, Scope.READ)


def test_without_redis_nobody_is_refused_for_good(keys: Keys, tmp_path: Path) -> None:
    away = ApiKeys(connect(f"unix://{tmp_path}/none"), keys)
    with pytest.raises(StoreUnavailable):
        away.look_up("wt_000000000000_" + "0" * 48)


def test_the_command_line_makes_lists_and_removes_keys(client: Client, redis_url: str, tmp_path: Path) -> None:
    client.ping()
    settings = Settings(home=tmp_path, redis_url=redis_url, key_prefix="test:")

    def wildtag(*arguments: str) -> subprocess.CompletedProcess[str]:
        return warm.wildtag("keys", *arguments, env={**os.environ, **settings.environment()})

    presented = wildtag("create", "camera", "--scope", "write").stdout.strip()
    assert found(Wiring(settings).api_keys, presented).scope is Scope.WRITE
    shown = wildtag("list", "--json").stdout
    assert {"name": "camera", "scope": "write"}.items() <= json.loads(shown).items()
    assert presented.rpartition("_")[2] not in shown + wildtag("list").stdout
    assert wildtag("create", "camera", "--scope", "read").returncode == 1
    assert wildtag("remove", "camera").returncode == 0
    assert wildtag("remove", "camera").returncode == 1
